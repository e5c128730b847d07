"""Where accounts are kept, and that one process has one at a time."""

import os
import stat
from pathlib import Path

import pytest
from whatsapp_mini.terminal.accounts import (
    AccountBusyError,
    Accounts,
    UnsafeFolderError,
    full_url,
    home,
    private_folder,
)

URL = "http://127.0.0.1:5000"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    account = Accounts(tmp_path / "a").account(URL, "919800000001")
    with account.opened():
        assert (mode(account.file), mode(account.folder)) == (0o600, 0o700)


def test_one_process_has_it_at_a_time(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    account = accounts.account(URL, "919800000001")
    with account.opened():
        assert account.is_busy()
        with pytest.raises(AccountBusyError, match="919800000001 is open in another terminal"), account.opened():
            pytest.fail("two have it")
        assert not accounts.account(URL, "919800000001", "laptop").is_busy()
    assert not account.is_busy()


async def test_an_account_that_was_never_logged_in_is_not_known(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    for number in ("919800000001", "919800000002"):
        with (account := accounts.account(URL, number)).opened():
            if number == "919800000002":
                store = account.store()
                await store.load()
                await store.close()
    assert accounts.known() == []


async def test_known_accounts_are_those_of_this_device_the_last_used_first(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    made = [
        accounts.account(URL, "919800000001"),
        accounts.account("https://chat.example.org/x", "919800000001"),
        accounts.account(URL, "919800000001", "laptop"),
    ]
    for age, account in enumerate(made):
        with account.opened():
            store = account.store()
            await store.load()
            await store.save_epoch("e")
            await store.close()
        os.utime(account.file, (age, age))
    assert accounts.known() == [made[1], made[0]]
    assert accounts.known("laptop") == [made[2]]
    assert len({account.folder for account in made}) == 2


def test_a_machine_is_one_device_for_ever(tmp_path: Path) -> None:
    first = Accounts(tmp_path).device_id()
    assert first == Accounts(tmp_path).device_id()
    assert Accounts(tmp_path).device_id("laptop") == f"{first}-laptop"
    assert first != Accounts(tmp_path / "other").device_id()


def test_a_socket_has_a_path_that_the_system_takes(tmp_path: Path) -> None:
    deep = Accounts(tmp_path / ("long" * 30)).account(URL, "919800000001")
    assert len(str(deep.socket)) < 100
    assert mode(deep.socket.parent) == 0o700
    deep.socket.parent.rmdir()


def test_the_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafeFolderError):
        private_folder(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(UnsafeFolderError):
        private_folder(tmp_path / "file" / "below")


def test_where_accounts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/asha")
    assert str(home({})) == "/home/asha/.local/share/whatsapp-mini"
    assert str(home({"XDG_DATA_HOME": "relative"})) == "/home/asha/.local/share/whatsapp-mini"
    assert str(home({"XDG_DATA_HOME": "/data"})) == "/data/whatsapp-mini"
    assert str(home({"XDG_DATA_HOME": "/data", "WHATSAPP_MINI_HOME": "~/here"})) == "/home/asha/here"


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:5000", "http://localhost:5000"),
        ("127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("chat.example.org/mini/", "https://chat.example.org/mini"),
        ("http://chat.example.org", "http://chat.example.org"),
    ],
)
def test_an_address_is_read_as_people_write_it(typed: str, url: str) -> None:
    assert full_url(typed) == url

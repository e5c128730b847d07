// Why somebody is not logged in any more, in a sentence for the door.

const WORDS = {
  logged_out: "You are logged out.",
  account_deleted: "Your account is deleted.",
  session_revoked: "You were logged out: on another device, or because the password was changed. Log in again.",
  token_invalid: "The server does not know this session any more. Log in again.",
  token_expired: "You were away for so long that the session has ended. Log in again.",
  refresh_invalid: "You were away for so long that the session has ended. Log in again.",
  refresh_reused:
    "The session was ended for safety: somebody else may have had a copy of its key. Log in again, and change the password if you do not know why.",
  4509: "You were logged out: on another device, or because the password was changed. Log in again.",
};

// code: of the client's state `loggedOut`, or what the person did: "logged_out", "account_deleted".
export const leavingWords = (code) => WORDS[code] ?? "The session has ended. Log in again.";

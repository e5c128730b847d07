// Whether a notification tells of messages that come while nobody looks at the page.

import { choicesOf, choose } from "./accounts.js";
import { askPermission, permission } from "./notifications.js";
import { Toggle } from "./settings-privacy.js";
import { account } from "./state.js";
import { html } from "./vendor/preact.js";

const CANNOT = {
  unsupported: "This browser shows no notifications for pages, or not for pages that came without https.",
  denied: "This browser was told to show no notifications of this page. Change it in the browser's settings for this site.",
};

export function Notifications() {
  const { mobileNo } = account.value;
  const { notify = false, showText = false } = choicesOf(mobileNo);
  const cannot = CANNOT[permission.value];
  const on = notify && permission.value === "granted";

  async function turn(wanted) {
    choose(mobileNo, { notify: wanted && (permission.value === "granted" || (await askPermission())) });
  }

  return html`
    <${Toggle} name="notifications" words="Tell me of new messages" on=${on} disabled=${Boolean(cannot)} onChange=${turn}
      meaning="While this page is open, but in the background. When it is closed, nothing comes until you open it." />
    ${cannot && html`<p class="problem" role="alert">${cannot}</p>`}
    <${Toggle} name="text" words="Show what was written" on=${showText} disabled=${!on}
      onChange=${(wanted) => choose(mobileNo, { showText: wanted })}
      meaning="Otherwise a notification says who wrote, and not what. Others may see a locked screen." />
  `;
}

/* Dark or light, before the first paint: a small plain script in the head, so that the page never flashes.

   automatic (as the system says) ──► light ──► dark ──► automatic
   The choice is kept in this browser; where it may keep nothing, it holds until the page is left. */

(() => {
  const KEY = "bridge.theme", CHOICES = ["automatic", "light", "dark"];
  let choice = CHOICES[0];
  try {
    choice = localStorage.getItem(KEY) ?? choice;
  } catch {
    // No storage: the system's choice.
  }

  const isDark = () => choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);

  function apply() {
    if (!CHOICES.includes(choice)) choice = CHOICES[0];
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    document.documentElement.dataset.choice = choice;
    const button = document.getElementById("theme");
    if (button) {
      button.setAttribute("aria-label", `Theme: ${choice}. Change it`);
      button.title = `Theme: ${choice} (T)`;
    }
    dispatchEvent(new Event("themechange"));
  }

  function next() {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // It holds as long as the page does.
    }
    apply();
  }

  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", next);
  });
})();

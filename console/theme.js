// Light, dark, or as the system says; the choice stays in this browser, in a cookie: cookies know no
// ports, so all roles of one host are shown alike. Loaded before the page is drawn, so that it never
// flashes in the wrong colours.

const NAME = "tally_theme";
const YEAR = 365 * 24 * 60 * 60;
const root = document.documentElement;

function stored() {
  const pairs = document.cookie.split("; ").map((pair) => pair.split("="));
  const theme = pairs.find(([name]) => name === NAME)?.[1];
  return theme === "light" || theme === "dark" ? theme : null;
}

function apply(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
}

function isDark() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  return (stored() ?? system) === "dark";
}

apply(stored());

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.hidden = false;
  tell();
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${NAME}=${theme}; Path=/; SameSite=Strict; Max-Age=${YEAR}${secure}`;
    apply(theme);
    tell();
  });
});

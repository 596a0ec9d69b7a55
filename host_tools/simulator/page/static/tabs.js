// On a narrow screen, one section is shown at a time, and the links at the top choose it.

const SECTIONS = ["devices", "enrollments", "requests"];

/** Show a section, if the screen is narrow. */
function showTab(name) {
  document.body.dataset.tab = name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", () => showTab(link.hash.slice(1)));
}

showTab(SECTIONS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "devices");

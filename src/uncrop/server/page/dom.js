// Elements of the page: finding them and making them.

export const byId = (id) => document.getElementById(id);

// Makes an element. Properties are attributes, but for those that HTML has as properties of their own.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name in made && !name.startsWith("aria")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// Tells people who use a screen reader, once. The same words twice in a row would not be read again.
export function announce(text) {
  const status = byId("status");
  status.textContent = status.textContent === text ? `${text}\u00a0` : text;
}

// Moves the focus to where the work goes on, without a jump of the page.
export const focus = (target) => target.focus({ preventScroll: target.getBoundingClientRect().top >= 0 });

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

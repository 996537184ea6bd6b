// How far a picture can be trusted, in words.

const SIDE = { left: "left", right: "right", up: "top", down: "bottom" };

function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

const sides = (names) => `the ${listed(names)} ${names.length > 1 ? "sides" : "side"}`;
const capital = (text) => text.replace(/^./, (first) => first.toUpperCase());

// A sentence about what was asked of each side, and how many pixels of it the maker itself would rely on.
export function trustInWords(asked, advice) {
  if (!advice) return "";
  const grown = Object.keys(SIDE).filter((side) => asked[side] > 0);
  const named = (chosen) => chosen.map((side) => SIDE[side]);
  const good = grown.filter((side) => advice[side] >= asked[side]);
  const partly = grown.filter((side) => advice[side] > 0 && advice[side] < asked[side]);
  const poor = grown.filter((side) => advice[side] === 0);
  const said = [];
  if (poor.length) said.push(`${sides(named(poor))} will probably show where it was extended`.replace("where it was", poor.length > 1 ? "where they were" : "where it was"));
  for (const side of partly) said.push(`up to ${advice[side]} px on the ${SIDE[side]} look natural`);
  if (good.length) said.push(`${sides(named(good))} should look natural`);
  return said.length ? `${capital(said.join("; "))}.` : "";
}

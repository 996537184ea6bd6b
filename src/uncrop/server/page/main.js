// Puts the page together.

import { setUpComparison } from "./compare.js";
import { setUpControls } from "./controls.js";
import { setUpCredentials } from "./credentials.js";
import { setUpExports } from "./exports.js";
import { setUpFrame } from "./frame.js";
import { setUpMakers } from "./makers.js";
import { setUpPhotos } from "./photos.js";
import { setUpQuotes } from "./quotes.js";
import { setUpResults } from "./results.js";
import { setUpRuns, start } from "./runs.js";

setUpControls();
setUpFrame();
setUpComparison();
setUpExports();
setUpResults(start);
setUpRuns();
setUpPhotos();
setUpCredentials();
setUpQuotes();
setUpMakers();

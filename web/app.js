/** The page: it finds the chat, asks who comes in, and hands over to ChatPage. */

import {claims} from "./chat-client.js";
import {ChatPage} from "./chat-page.js";
import {load} from "./config.js";
import {recall, remember, tab} from "./memory.js";
import {nameProblem} from "./words.js";
import {welcome} from "./welcome.js";

const config = await load();
const claim = config.token ? claims(config.token)[config.nameClaim] : null;
const ofToken = typeof claim === "string" ? claim : null;
// Over a reload one stays in; a new tab asks, and proposes the name of the last time.
const stays = recall("name", null, tab);
let name = ofToken ?? (typeof stays === "string" && !nameProblem(stays) ? stays : null);
let url = config.url;
if (name === null || url === null) {
  const proposed = String(recall("name", ""));
  ({name, url} = await welcome({name: proposed, url, needsName: ofToken === null}));
  name = ofToken ?? name;
}
if (!ofToken) {
  remember("name", name);
  remember("name", name, tab);
}
new ChatPage(url, name, config);

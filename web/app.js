/** The page: it finds the chat, asks who comes in, and hands over to ChatPage. */

import {claims} from "./chat-client.js";
import {ChatPage} from "./chat-page.js";
import {load} from "./config.js";
import {belongTo, recall, tab} from "./memory.js";
import {welcome} from "./welcome.js";

const config = await load();
const ofToken = config.token ? claims(config.token)[config.nameClaim] : null;
// Over a reload one stays in; a new tab asks, and proposes the name of the last time.
let name = ofToken ?? recall("name", null, tab);
let {url} = config;
if (name === null || url === null) {
	const [chosen, chat] = await welcome(recall("name", ""), ofToken !== null, url);
	name = ofToken ?? chosen;
	url = chat;
}
belongTo(url, name);
new ChatPage(url, name, config);

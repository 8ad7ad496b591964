// Prints what AsyncAPI's own parser has to say of the document on standard input, as JSON.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

new Parser().validate(readFileSync(0, "utf8")).then((diagnostics) => {
  process.stdout.write(JSON.stringify(diagnostics));
});

// Signs each line that comes in, {"secret", "body"} with the body in base64, and prints the signature.
import { createInterface } from "node:readline";
import { sign } from "@octokit/webhooks-methods";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, body } = JSON.parse(line);
  const text = Buffer.from(body, "base64").toString("utf8");
  console.log(await sign(secret, text));
}

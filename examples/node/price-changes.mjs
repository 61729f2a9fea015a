// Price changes with @platformatic/kafka: node price-changes.mjs [BOOTSTRAP [GROUP [START]]], until Ctrl-C.
// START, "earliest" or "latest", is where a group begins that has committed nothing yet.
import { Consumer, stringDeserializers } from "@platformatic/kafka";

const [bootstrap = "127.0.0.1:9092", group = "my-team", start = "latest"] = process.argv.slice(2);

// A number of JavaScript is exact to 53 bits, an integer of a record has 63: those beyond become BigInt.
const parse = (text) =>
  JSON.parse(text, (_, value, { source }) =>
    /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value,
  );
const format = (value) =>
  JSON.stringify(value, (_, item) => (typeof item === "bigint" ? JSON.rawJSON(item.toString()) : item));

const consumer = new Consumer({
  bootstrapBrokers: [bootstrap],
  clientId: group,
  groupId: group,
  deserializers: stringDeserializers,
});
const stream = await consumer.consume({
  topics: ["ashare.price-changes.v1"],
  mode: "committed",
  fallbackMode: start,
  autocommit: false,
});
process.once("SIGINT", () => stream.close());

for await (const record of stream) {
  // The same change may come twice, after a crash there or here: drop a ce_id that you have seen.
  console.log(format({ ce_id: record.headers.get("ce_id"), ...parse(record.value) }));
  await record.commit(); // a round trip each: where thousands come a second, commit every hundredth
}
await consumer.close();

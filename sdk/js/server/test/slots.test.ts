// Places that are taken and given back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Slots } from "../src/slots.js";

test("no more places are given than there are, and who waits comes in order", async () => {
  const slots = new Slots(2);
  const one = slots.tryTake();
  const two = slots.tryTake();
  assert.ok(one && two);
  assert.equal(slots.tryTake(), undefined);
  const came: string[] = [];
  const waiting = ["a", "b"].map(async (name) => {
    const release = await slots.take(1_000);
    came.push(name);
    return release;
  });
  one();
  // A place is given back once, however often that is said.
  one();
  await waiting[0];
  assert.deepEqual(came, ["a"]);
  two();
  await Promise.all(waiting);
  assert.deepEqual(came, ["a", "b"]);
  assert.equal(slots.tryTake(), undefined);
});

test("who has waited too long gets none and takes none", async () => {
  const slots = new Slots(1);
  const release = slots.tryTake();
  assert.equal(await slots.take(20), undefined);
  release?.();
  assert.ok(slots.tryTake());
});

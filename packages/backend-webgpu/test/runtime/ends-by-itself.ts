/** A program of a user; how it comes to its end is its argument, see exit.test.ts. */
import { array, Device, type Tracer, whileLoop } from "@banach/autograd";
import { webgpuBackend } from "../../src/index.ts";

const [, , way = "disposes"] = process.argv;
const device = new Device(await webgpuBackend());
const x = array(new Float32Array(1000).fill(1));
let runs = 0;
for (; runs < 5; runs++) (await device.run((y: Tracer) => y.mul(runs).tanh(), x)).dispose();
const count = (y: Tracer): Tracer =>
  whileLoop(
    (z: Tracer) => z.max().less(100),
    (z: Tracer) => z.add(1),
    y,
    { maxSteps: 1000 },
  ).carry;
(await device.run(count, x)).dispose();
const input = device.put(x);
console.log("done", runs);
process.once("beforeExit", () => console.log("drained"));
process.once("exit", (code) => console.log("exit", code));
switch (way) {
  case "disposes":
    await device[Symbol.asyncDispose]();
    break;
  case "does not dispose":
    break;
  case "reads":
    void input.read().then(() => console.log("read"));
    break;
  case "runs":
    void device.run(count, x).then(() => console.log("ran"));
    break;
  case "reads, runs and disposes":
    void input.read().then(() => console.log("read"));
    void device.run(count, x).then(() => console.log("ran"));
    void device[Symbol.asyncDispose]().then(() => console.log("disposed"));
    break;
  case "leaves in mid-run":
    void input.read();
    void device.run(count, x);
    setImmediate(() => process.exit(0));
    break;
  default:
    throw new Error(`there is no way ${way}`);
}

/** A program of a user who never disposes of the device. */
import { key, random, type Tracer } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";

const device = await wasm({ threads: 2, grain: { step: 0, program: 0 } });
console.log(device.notes[0]);
const xs = random.normal(key(1), [32, 32]);
let runs = 0;
for (; runs < 20; runs++) await device.run((x: Tracer) => x.matmul(x).mul(runs), xs);
console.log("done", runs);

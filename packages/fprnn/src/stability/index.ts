/** Stability of fixed points: does the map contract, is there one solution, and how to keep it so. One file and one line each. */
export { type Certificate, certify } from "./certify.ts";
export { type Contraction, contraction, type ContractionOptions, localContraction } from "./contraction.ts";
export { jacobianPenalty, type JacobianPenaltyOptions } from "./jacobian-penalty.ts";
export { type Multistart, multistart, type MultistartOptions } from "./multistart.ts";

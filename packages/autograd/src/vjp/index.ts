/** Reverse-mode differentiation: transforms for users, rules and the sweep for contributors. */
export {
  type BackwardRule,
  type NotDifferentiable,
  type SavingRule,
  type VjpContext,
  type VjpRule,
  type VjpTable,
  zeroCotangent,
} from "./rule.ts";
export { vjpTable } from "./table.ts";
export {
  type CustomVjp,
  customVjp,
  grad,
  hvp,
  jvp,
  type Traced,
  type ValueAndGrad,
  valueAndGrad,
  vjp,
  type VjpResult,
} from "./transforms.ts";

/** What zod found wrong, in a line. */
import type { z } from "zod";

/** E.g. `model.mixer.rank: expected a positive number; batch: required`. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`))
    .join("; ");
}

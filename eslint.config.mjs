// The lint rules: type-checked TypeScript rules, no import cycles, and the directions in which imports may point.
// Directions between packages and between the folders of autograd are tables below; a new folder is one line there.
import { existsSync, readdirSync } from "node:fs";
import { createTypeScriptImportResolver } from "eslint-import-resolver-typescript";
import { importX } from "eslint-plugin-import-x";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** What a package's src may import of the workspace, as package.json names. Packages not listed: anything. */
const backend = ["@banach/autograd", "@banach/autograd/backend"];
/** @type {Record<string, string[]>} */
const packageImports = {
  autograd: [],
  fprnn: ["@banach/autograd"],
};
const packages = readdirSync(new URL("packages/", import.meta.url)).sort();
for (const name of packages) if (name.startsWith("backend-")) packageImports[name] = backend;

/**
 * What each part of packages/autograd/src may import besides itself. `index.ts` and `testing` may import everything.
 * Arrows of the design: ir <- trace <- ops <- vjp; ir <- passes <- lower; runtime -> ir; jit on top of these;
 * random, nn, optim on top of ops.
 * @type {Record<string, string[]>}
 */
const autogradImports = {
  "errors.ts": [],
  ir: ["errors.ts"],
  trace: ["errors.ts", "ir"],
  ops: ["errors.ts", "ir", "trace"],
  vjp: ["errors.ts", "ir", "trace", "ops"],
  passes: ["errors.ts", "ir"],
  lower: ["errors.ts", "ir", "passes"],
  runtime: ["errors.ts", "ir", "trace/tree.ts"],
  jit: ["errors.ts", "ir", "trace", "ops", "vjp", "passes", "lower", "runtime"],
  random: ["errors.ts", "ir", "trace", "ops", "runtime", "reference/interpret.ts"],
  nn: ["errors.ts", "ir", "trace", "ops", "vjp", "runtime", "random"],
  optim: ["errors.ts", "ir", "trace", "ops", "vjp", "runtime", "random"],
  backend: ["errors.ts", "ir", "passes", "lower", "runtime"],
  reference: ["errors.ts", "ir", "lower", "runtime", "random/threefry.ts", "passes", "backend", "jit/device.ts"],
};

const autogradSrc = "packages/autograd/src";
/** @type {[string, string[]][]} A folder that is missing above may import only itself, until it gets its line. */
const unlisted = readdirSync(new URL(`${autogradSrc}/`, import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "testing" && !(entry.name in autogradImports))
  .map((entry) => [entry.name, []]);
const autogradZones = [...Object.entries(autogradImports), ...unlisted].map(([part, allowed]) => ({
  target: `${autogradSrc}/${part}`,
  from: autogradSrc,
  except: [part, ...allowed].map((path) => `./${path}`),
  message: `${part} may import only ${["itself", ...allowed].join(", ")} (see autogradImports in eslint.config.mjs).`,
}));

/** Lint rule options that forbid every @banach import but these. */
const banachImports = (/** @type {readonly string[]} */ allowed, /** @type {string} */ who) => ({
  patterns: [
    {
      regex: `^@banach/(?!(?:${allowed.map((name) => name.replace("@banach/", "")).join("|") || "(?!)"})$)`,
      message: `${who} may import ${allowed.length > 0 ? `only ${allowed.join(" and ")}` : "nothing"} of the workspace.`,
    },
  ],
});

/** The packages that choose a backend; no other may import one. */
const mayImportBackends = ["tasks", "playground"];

export default defineConfig(
  globalIgnores(["**/dist/", "**/coverage/", "**/runs/", "packages/*/test/golden/"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts", "**/*.mjs"],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { "import-x": importX },
    languageOptions: {
      parserOptions: { project: ["./tsconfig.json"], tsconfigRootDir: import.meta.dirname },
    },
    settings: {
      "import-x/parsers": { "@typescript-eslint/parser": [".ts"] },
      "import-x/resolver-next": [
        createTypeScriptImportResolver({
          project: "tsconfig.json",
          conditionNames: ["@banach/source", "import", "node"],
        }),
      ],
    },
    rules: {
      "import-x/no-cycle": ["error", { ignoreExternal: true }],
      "import-x/no-self-import": "error",
      "import-x/no-relative-packages": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // Numbers and booleans print well in messages.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // `for (;;)` and `while (true)` are how solvers loop.
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      // A generic that only the caller writes is how a typed tree or row is read.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      // Arrow functions that return what a void function returns read better in one line.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // It reports a class value that a type guard has narrowed, and the compiler checks classes with private parts anyway.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      eqeqeq: "error",
      "no-console": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    rules: {
      "max-lines": ["error", { max: 400, skipBlankLines: false, skipComments: false }],
      "import-x/no-restricted-paths": ["error", { basePath: import.meta.dirname, zones: autogradZones }],
    },
  },
  ...packages
    .filter((name) => existsSync(new URL(`packages/${name}/package.json`, import.meta.url)))
    .filter((name) => !mayImportBackends.includes(name))
    .map((name) => {
      const anyButBackends = ["autograd(?:/.*)?", "fprnn(?:/.*)?"];
      return {
        files: [`packages/${name}/src/**/*.ts`],
        rules: {
          "no-restricted-imports": /** @type {["error", object]} */ ([
            "error",
            banachImports(packageImports[name] ?? anyButBackends, name),
          ]),
        },
      };
    }),
  {
    files: ["packages/tasks/src/**/*.ts", "scripts/**/*.mjs", "bench/**/*.ts"],
    rules: { "no-console": "off" },
  },
  {
    // The linter does not read JSDoc casts; the compiler does, and checks these files.
    files: ["**/*.mjs"],
    rules: {
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
    },
  },
  {
    // Tests state what they know about a value, and reach into results that a type keeps wide.
    files: ["**/test/**/*.ts", "docs/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/unbound-method": "off",
      "@typescript-eslint/no-unused-expressions": "off",
      "no-console": "off",
    },
  },
);

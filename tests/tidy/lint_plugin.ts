/**
 * House rules that `deno lint` enforces under the prefix `walraft/`. Each rule reports the fact and what to do.
 * The default export is what the plugin interface of Deno asks for.
 */
import { importRefusal, isTest } from "./import_rules.ts";

const REPOSITORY_ROOT = new URL("../../", import.meta.url).pathname;

const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;

/** Names by which time, chance and the machine would enter the core past its ports. */
const IMPURE_NAMES: ReadonlyMap<string, string> = new Map([
  ["Date", "the Clock port"],
  ["performance", "the Clock port"],
  ["setTimeout", "the Clock port"],
  ["setInterval", "the Clock port"],
  ["clearTimeout", "the Clock port"],
  ["clearInterval", "the Clock port"],
  ["crypto", "the Random port"],
  ["Deno", "the Disk and Transport ports"],
  ["process", "an argument that main.ts passes in"],
  ["console", "the EventSink port"],
  ["fetch", "the Transport port"],
]);
const GLOBAL_OBJECTS: ReadonlySet<string> = new Set(["globalThis", "self", "window"]);

/** The only core file beside core/host that composes real parts: the entry of a worker thread. */
const WORKER_ENTRY = "core/sql/worker.ts";
const BARREL = "net/client/mod.ts";
const PLUGIN_FILE = "tests/tidy/lint_plugin.ts";

function pathOf(context: Deno.lint.RuleContext): string {
  const name = context.filename;
  return name.startsWith(REPOSITORY_ROOT) ? name.slice(REPOSITORY_ROOT.length) : name.replace(/^\/+/, "");
}

function isPure(path: string): boolean {
  return path.startsWith("core/") && !path.startsWith("core/host/") && path !== WORKER_ENTRY && !isTest(path);
}

function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

const importDirection: Deno.lint.Rule = {
  create(context) {
    const from = pathOf(context);
    const check = (node: Deno.lint.Node, specifier: string, typeOnly: boolean) => {
      const refusal = importRefusal(from, specifier, typeOnly);
      if (refusal !== undefined) context.report({ node, message: refusal });
    };
    return {
      ImportDeclaration(node) {
        const typeOnly = node.importKind === "type" ||
          (node.specifiers.length > 0 &&
            node.specifiers.every((each) => each.type === "ImportSpecifier" && each.importKind === "type"));
        check(node, node.source.value, typeOnly);
      },
      ExportNamedDeclaration(node) {
        if (node.source) check(node, node.source.value, node.exportKind === "type");
      },
      ExportAllDeclaration(node) {
        check(node, node.source.value, node.exportKind === "type");
      },
      ImportExpression(node) {
        if (node.source.type === "Literal" && typeof node.source.value === "string") {
          check(node, node.source.value, false);
        }
      },
      TSImportType(node) {
        const literal = node.argument.type === "TSLiteralType" ? node.argument.literal : node.argument;
        if (literal.type === "Literal" && typeof literal.value === "string") check(node, literal.value, true);
      },
    };
  },
};

const pureCore: Deno.lint.Rule = {
  create(context) {
    if (!isPure(pathOf(context))) return {};
    const report = (node: Deno.lint.Node, name: string, instead: string) =>
      context.report({
        node,
        message: `${name} is not available to the pure core; use ${instead}`,
        hint: "The ports are in core/base/ports.ts; core/host implements them",
      });
    return {
      Identifier(node) {
        const instead = IMPURE_NAMES.get(node.name);
        if (instead !== undefined && isReference(node)) report(node, node.name, instead);
      },
      MemberExpression(node) {
        const { object, property } = node;
        if (object.type !== "Identifier" || object.name !== "Math") return;
        const name = property.type === "Identifier" ? property.name : "";
        if (name === "random" || node.computed) report(node, "Math.random", "the Random port");
      },
    };
  },
};

/** Whether the identifier stands for the global of that name, and not for a member or key that is called the same. */
function isReference(node: Deno.lint.Identifier): boolean {
  const parent = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return parent.object === node || parent.computed ||
        (parent.object.type === "Identifier" && GLOBAL_OBJECTS.has(parent.object.name));
    case "Property":
      return parent.value === node || parent.computed;
    case "PropertyDefinition":
      return parent.value === node || parent.computed;
    case "MethodDefinition":
    case "TSMethodSignature":
    case "TSPropertySignature":
    case "TSAbstractMethodDefinition":
    case "TSAbstractPropertyDefinition":
      return parent.computed;
    case "TSQualifiedName":
      return parent.left === node;
    case "ImportSpecifier":
    case "ExportSpecifier":
    case "LabeledStatement":
      return false;
    default:
      return true;
  }
}

const noPrivateKeyword: Deno.lint.Rule = {
  create(context) {
    const check = (node: Deno.lint.Node) => {
      // The text, because the tree does not carry the keyword of constructor parameters.
      if (!/^(static\s+|override\s+)*private\b/.test(context.sourceCode.getText(node))) return;
      context.report({
        node,
        message: "The private keyword is checked by the compiler only; use a #private name",
      });
    };
    return { PropertyDefinition: check, MethodDefinition: check, TSParameterProperty: check };
  },
};

const noDefaultExport: Deno.lint.Rule = {
  create(context) {
    if (pathOf(context) === PLUGIN_FILE) return {};
    const message = "Default exports lose their name at the import; export by name";
    return {
      ExportDefaultDeclaration: (node) => context.report({ node, message }),
      ExportSpecifier(node) {
        if (node.exported.type === "Identifier" && node.exported.name === "default") {
          context.report({ node, message });
        }
      },
    };
  },
};

const noBarrel: Deno.lint.Rule = {
  create(context) {
    if (pathOf(context) === BARREL) return {};
    const message = `Only ${BARREL} re-exports; import from the file that declares the name`;
    return {
      ExportAllDeclaration: (node) => context.report({ node, message }),
      ExportNamedDeclaration(node) {
        if (node.source) context.report({ node, message });
      },
    };
  },
};

const noAny: Deno.lint.Rule = {
  create(context) {
    return {
      TSAnyKeyword: (node) =>
        context.report({ node, message: "any switches the compiler off; use unknown and narrow it" }),
    };
  },
};

const noUnfinishedNote: Deno.lint.Rule = {
  create(context) {
    return {
      Program() {
        for (const comment of context.sourceCode.getAllComments()) {
          const mark = /\b(TODO|FIXME|XXX|HACK)\b/.exec(comment.value);
          if (mark === null) continue;
          context.report({
            range: comment.range,
            message: `${mark[1]} in a comment: do it, or file an issue and say nothing here`,
          });
        }
      },
    };
  },
};

const fileLength: Deno.lint.Rule = {
  create(context) {
    return {
      Program(node) {
        const lines = lineCount(context.sourceCode.text);
        if (lines <= FILE_LINES_MAX) return;
        context.report({
          range: [node.range[0], node.range[0]],
          message: `File has ${lines} lines, more than ${FILE_LINES_MAX}; split it by idea`,
        });
      },
    };
  },
};

const functionLength: Deno.lint.Rule = {
  create(context) {
    if (isTest(pathOf(context))) return {};
    const check = (node: Deno.lint.Node) => {
      const lines = lineCount(context.sourceCode.getText(node));
      if (lines <= FUNCTION_LINES_MAX) return;
      context.report({
        range: [node.range[0], node.range[0] + 1],
        message: `Function has ${lines} lines, more than ${FUNCTION_LINES_MAX}; move a step into its own`,
      });
    };
    return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
  },
};

export default {
  name: "walraft",
  rules: {
    "import-direction": importDirection,
    "pure-core": pureCore,
    "no-private-keyword": noPrivateKeyword,
    "no-default-export": noDefaultExport,
    "no-barrel": noBarrel,
    "no-any": noAny,
    "no-unfinished-note": noUnfinishedNote,
    "file-length": fileLength,
    "function-length": functionLength,
  },
} satisfies Deno.lint.Plugin;

/** The TypeScript client as it was compiled. */

export * from "../../../clients/typescript/dist/client.js";

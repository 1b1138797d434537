// Write a step of the deploy runner in JavaScript or TypeScript. See README.md.
//
// What is not used is not in the component: `Target` needs the interface `targets` among the `imports` of step.toml only
// where a step uses it.
export { Artifact } from "./artifact.ts";
export * as artifacts from "./artifacts.ts";
export { Command, type Output } from "./command.ts";
export { type ErrorKind, isStepError, StepError } from "./errors.ts";
export * as log from "./log.ts";
export * as releases from "./releases.ts";
export { Request, Response } from "./request.ts";
export * as runInfo from "./run-info.ts";
export { array, boolean, type Infer, integer, number, object, oneOf, record, Schema, string } from "./schema.ts";
export { Secret } from "./secret.ts";
export * as secrets from "./secrets.ts";
export * as sockets from "./sockets.ts";
export { type Step, step } from "./step.ts";
export { type ServiceAction, Target } from "./target.ts";
export { byBytes } from "./text.ts";
export * as timer from "./timer.ts";
export * as workspace from "./workspace.ts";

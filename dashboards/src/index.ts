// The dashboards: first those about money, then those about the services.

import { gateway } from "./gateway.ts";
import { indexer } from "./indexer.ts";
import { spend } from "./spend.ts";
import { treasury } from "./treasury.ts";
import { verifier } from "./verifier.ts";

export const dashboards = [spend, treasury, indexer, verifier, gateway];

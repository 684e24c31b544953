// Serving before the verifier has answered: signature and terms by the gateway's public keys alone.
//
// Whatever is not a clear yes is asked of the verifier first, as without this. A payment is served so at most once by
// one process, and never after the verifier was asked about it. What only the verifier knows is not known here: claims
// made elsewhere, reorgs, and keys revoked since the public keys were read.

import { parseAddress } from "../../protocol/src/address.js";
import { toBaseUnits } from "../../protocol/src/amount.js";
import { PROOF_LIFETIME_SECONDS, type ProofClaims } from "../../protocol/src/proof.js";
import { type Config, guarded, milliseconds, type OfflineOptions } from "./config.js";
import { confirm, type Confirmation } from "./confirm.js";
import type { Terms } from "./invoice.js";
import { Keys } from "./keys.js";
import type { VerifiedPayment } from "./payment.js";
import { type Release, Slots } from "./slots.js";
import type { Question, Verifier } from "./verifier.js";

/** The most payments that are remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 262_144;

/** The most payments that the verifier has yet to confirm. Beyond it requests wait for its answer. */
const MAX_UNCONFIRMED = 1_024;

/** How far ahead of ours the gateway's clock may be, in seconds. */
const MAX_CLOCK_SKEW_SECONDS = 300;

/** How an invoice was first dealt with, which is never changed. */
type Mark = "served" | "asked";

/** What to do with a request: serve it and have it confirmed, refuse it as used, or ask the verifier first. */
export type Offhand =
  | { readonly do: "serve"; readonly payment: VerifiedPayment; readonly release: Release }
  | { readonly do: "refuse" }
  | { readonly do: "ask" };

/** The offline check of one API. */
export class Offline {
  readonly #upTo: bigint;
  readonly #issuer: string;
  readonly #token: string;
  readonly #tell: (confirmation: Confirmation) => void;
  readonly #onError: Config["onError"];
  readonly #verifier: Verifier;
  readonly #keys: Keys;
  readonly #marks = new Map<string, { readonly mark: Mark; readonly until: number }>();
  readonly #slots = new Slots(MAX_UNCONFIRMED);
  readonly #open = new Set<Promise<void>>();

  constructor(options: OfflineOptions, verifier: Verifier, onError: Config["onError"]) {
    this.#upTo = toBaseUnits(options.upTo);
    this.#issuer = options.issuer;
    this.#token = parseAddress(options.token);
    this.#tell = guarded("onConfirmation", options.onConfirmation, onError);
    this.#onError = onError;
    this.#verifier = verifier;
    const maxAge = milliseconds("keysMaxAgeMs", options.keysMaxAgeMs, 5 * 60_000);
    this.#keys = new Keys(verifier, maxAge, milliseconds("keysMinRefetchMs", options.keysMinRefetchMs, 10_000), onError);
  }

  /** Judges a proof that claims to pay an invoice of ours. `repeats` says that the request takes over an attempt that
   * failed, whose claim the verifier may already have. */
  async consider(question: Question, terms: Terms, repeats: boolean, now: number): Promise<Offhand> {
    if (terms.price > this.#upTo) return { do: "ask" };
    const read = await this.#keys.read(question.proof);
    // Anybody can make these up, so nothing is remembered of them.
    if (read === "notSigned") return { do: "ask" };
    const fits = read !== "noKeys" && !repeats && this.#fits(read, terms, now);
    const release = fits ? this.#slots.tryTake() : undefined;
    const first = this.#mark(question.invoiceId, release === undefined ? "asked" : "served");
    if (fits && release !== undefined && first === undefined) return { do: "serve", payment: stated(read), release };
    release?.();
    return first === "served" && !repeats ? { do: "refuse" } : { do: "ask" };
  }

  /** Has the verifier confirm, and claim, what is served meanwhile. */
  confirmLater(question: Question, terms: Terms, payment: VerifiedPayment, release: Release): void {
    const work = confirm(this.#verifier, question, terms, payment).then((confirmation) => {
      const { paymentId, invoiceId } = confirmation.payment;
      if (confirmation.outcome !== "confirmed") {
        const why = confirmation.refusal ?? confirmation.outcome;
        this.#onError(`payment ${paymentId} of invoice ${invoiceId} was served and is not confirmed`, why);
      }
      this.#tell(confirmation);
      release();
      this.#open.delete(work);
    });
    this.#open.add(work);
  }

  /** Waits until nothing is left to be confirmed. */
  async confirmed(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  /** Marks an invoice, once, and says how it was marked before. */
  #mark(invoiceId: string, mark: Mark): Mark | undefined {
    const now = performance.now();
    const known = this.#marks.get(invoiceId);
    if (known !== undefined && now < known.until) return known.mark;
    this.#marks.delete(invoiceId);
    this.#marks.set(invoiceId, { mark, until: now + PROOF_LIFETIME_SECONDS * 1_000 });
    const [oldest] = this.#marks.keys();
    if (this.#marks.size > MAX_REMEMBERED && oldest !== undefined) this.#marks.delete(oldest);
    return undefined;
  }

  /** What the verifier compares too, as far as it can be compared without the chain. */
  #fits(claims: ProofClaims, terms: Terms, now: number): boolean {
    return (
      claims.iss === this.#issuer &&
      claims.asset === this.#token &&
      claims.network === terms.network.caip2 &&
      claims.payTo === terms.payTo &&
      claims.amount === terms.price &&
      claims.resource === terms.resource &&
      claims.exp > now &&
      claims.iat <= now + MAX_CLOCK_SKEW_SECONDS
    );
  }
}

/** What the gateway states, not yet confirmed. */
function stated(claims: ProofClaims): VerifiedPayment {
  const { sub, invoiceId, amount, payer, txHash, logIndex, blockNumber, resource } = claims;
  const open = { confirmations: 0, finalized: false, confirmed: false };
  return { paymentId: sub, invoiceId, amount, payer, txHash, logIndex, blockNumber, resource, ...open };
}

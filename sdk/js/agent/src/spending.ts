// What a client has spent, and the most that it may.

import { formatAmount } from "../../protocol/src/amount.js";
import { TooExpensiveError } from "./errors.js";
import type { Invoice } from "./invoice.js";

/** Invoices that are told apart; older ones stay counted and are no longer recognised. */
const MAX_TOLD_APART = 65_536;

interface Counted {
  readonly amount: bigint;
  /** Calls that are at it. */
  holders: number;
  /** Whether it is paid, or may be. */
  spent: boolean;
}

/** Counts each invoice once, from before the gateway hears of it until it is certain that nothing is paid. */
export class Spending {
  readonly #perRequest: bigint;
  readonly #inTotal: bigint | undefined;
  readonly #counted = new Map<string, Counted>();
  #total = 0n;

  constructor(perRequest: bigint, inTotal: bigint | undefined) {
    this.#perRequest = perRequest;
    this.#inTotal = inTotal;
  }

  /** What is paid or may still be paid. */
  get total(): bigint {
    return this.#total;
  }

  /** Throws when paying the invoice would pass a limit. */
  check(invoice: Invoice): void {
    const price = `the provider asks for ${formatAmount(invoice.amount)} MNEE`;
    if (invoice.amount > this.#perRequest) {
      const limit = formatAmount(this.#perRequest);
      throw new TooExpensiveError(invoice, this.#perRequest, `${price}, more than maxAmount (${limit}); raise it to allow that`);
    }
    if (this.#inTotal === undefined || this.#counted.has(nameOf(invoice))) return;
    const left = this.#inTotal - this.#total;
    if (invoice.amount > left) {
      throw new TooExpensiveError(invoice, left, `${price}, more than is left of maxTotal (${formatAmount(left)}); raise it to allow that`);
    }
  }

  /** Counts the invoice. What it returns is called once, with whether it is paid or may be. */
  hold(invoice: Invoice): (spent: boolean) => void {
    this.check(invoice);
    const name = nameOf(invoice);
    const entry = this.#counted.get(name) ?? this.#begin(name, invoice.amount);
    entry.holders += 1;
    return (spent) => {
      entry.holders -= 1;
      entry.spent ||= spent;
      this.#drop(name, entry);
    };
  }

  /** An invoice that was in doubt is certain not to be paid. */
  forget(invoice: Invoice): void {
    const name = nameOf(invoice);
    const entry = this.#counted.get(name);
    if (entry === undefined) return;
    entry.spent = false;
    this.#drop(name, entry);
  }

  #begin(name: string, amount: bigint): Counted {
    const entry = { amount, holders: 0, spent: false };
    this.#total += amount;
    this.#counted.set(name, entry);
    const [oldest] = this.#counted.keys();
    if (this.#counted.size > MAX_TOLD_APART && oldest !== undefined) this.#counted.delete(oldest);
    return entry;
  }

  #drop(name: string, entry: Counted): void {
    if (entry.spent || entry.holders > 0 || this.#counted.get(name) !== entry) return;
    this.#total -= entry.amount;
    this.#counted.delete(name);
  }
}

function nameOf(invoice: Invoice): string {
  return `${invoice.network} ${invoice.payTo} ${invoice.invoiceId} ${invoice.amount}`;
}

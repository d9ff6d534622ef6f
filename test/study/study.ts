/**
 * What a study of the shared-coprocessor framework is: a question with a stated target, answered in virtual time with
 * the same numbers on every run, or, where it says so, by real threads.
 */
import type { PolicyModule } from '../../src/coproc/policy.js';
import { meets, type Target } from '../bench/report.js';

/** What the command line, or a test, decided. */
export interface StudyScope {
  /** How long each case lasts, ns of virtual time. */
  readonly windowNs: number;
  /** Fewer cases: for tests and a first look. */
  readonly quick: boolean;
  /** How long the threaded study compresses, s of real time. */
  readonly seconds: number;
  /** The policies that are studied; a test puts broken ones in their place. */
  readonly roundRobin: PolicyModule;
  readonly fair: PolicyModule;
}

/** One number and what became of its target. */
export interface Finding {
  /** Stable: what was studied, a slash, the case. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the value ought to be; null where only a bound is due, or nothing. */
  readonly due: number | null;
  /** A bound on the value; null = for information. */
  readonly target: Target | null;
  /** Null without a target. */
  readonly met: boolean | null;
}

/** Numbers that are read together. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** What a study found out. */
export interface Outcome {
  readonly findings: readonly Finding[];
  readonly tables: readonly Table[];
}

/** One study. */
export interface Study {
  /** Stable: what a NAME on the command line is looked up in. */
  readonly name: string;
  /** What is asked, in a line. */
  readonly question: string;
  /** What is measured, and what is due, in a few sentences. */
  readonly method: string;
  /** In real time, on real threads: its numbers differ from run to run. */
  readonly realTime?: true;
  run(scope: StudyScope): Outcome | Promise<Outcome>;
}

/** What a finding is made of; `due` and bounds are absent where there are none. */
export interface Found {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly due?: number;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A finding, with the verdict on it. Bounds include their limit. */
export function finding({ name, value, unit, due, atMost, atLeast }: Found): Finding {
  const target: Target | null =
    atMost !== undefined
      ? { on: 'value', relation: '<=', limit: atMost }
      : atLeast !== undefined
        ? { on: 'value', relation: '>=', limit: atLeast }
        : null;
  const met = target === null ? null : meets(target, value);
  return { name, value, unit, due: due ?? null, target, met };
}

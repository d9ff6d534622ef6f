/**
 * An SQE as the device understands it: every field checked once, before anything is touched. SPEC.md section 2.
 */
import { type DmaAddress, readAddress, type SqeRequest } from '../../src/driver-api.js';
import type { DeflateOptions, FlushKind } from './codec.js';
import { flushKinds } from './codec-types.js';
import {
  codingDefaults,
  directions,
  type RequestKind,
  requestTypes,
  SQE_TYPE_TAG_HIGH,
  ZIP_BYTES_MAX,
  ZIP_DICTIONARY_BYTES_MAX,
  zipSqe,
} from './layout.js';

/** What the constant words of an SQE say, checked: the same for all requests of a session. */
export interface RequestForm {
  readonly compresses: boolean;
  readonly kind: RequestKind;
  /** What the end of the input means when compressing. */
  readonly flush: FlushKind;
  readonly coding: DeflateOptions;
  readonly stateful: boolean;
  /** The first of its stream; true for a stateless request. */
  readonly begins: boolean;
  readonly dictionaryBytes: number;
}

/** One request, checked. Lengths in bytes. */
export interface ZipRequest {
  readonly form: RequestForm;
  readonly source: DmaAddress;
  readonly inputBytes: number;
  readonly destination: DmaAddress;
  readonly roomBytes: number;
  readonly streamBuffer: DmaAddress;
}

const sqe = zipSqe.fields;
const LEVEL_MAX = 9;
const MEM_LEVEL_MAX = 9;
const STRATEGY_MAX = 4;
/** Words 7 to 10 hold everything that makes a form. */
const FORM_WORDS = [28, 32, 36, 40] as const;

/** Understands SQEs. The form of the last one is kept: the next most likely has the same, word for word. */
export class RequestParser {
  #form: RequestForm | null = null;
  #qcType = -1;
  readonly #words = new Uint32Array(FORM_WORDS.length);

  /** The request that an SQE describes; null when it is malformed. */
  parse({ sqe: view, qcType }: SqeRequest): ZipRequest | null {
    const form = this.#isSameForm(view, qcType) ? this.#form : this.#newForm(view, qcType);
    if (form === null) return null;
    const request: ZipRequest = {
      form,
      source: readAddress(sqe.source, view, 0),
      inputBytes: sqe.inputBytes.read(view, 0),
      destination: readAddress(sqe.destination, view, 0),
      roomBytes: sqe.roomBytes.read(view, 0),
      streamBuffer: readAddress(sqe.streamBuffer, view, 0),
    };
    return lengthsAreValid(request) ? request : null;
  }

  #isSameForm(view: DataView, qcType: number): boolean {
    if (qcType !== this.#qcType) return false;
    for (let i = 0; i < FORM_WORDS.length; i++) {
      if (view.getUint32(FORM_WORDS[i]!, true) !== this.#words[i]) return false;
    }
    return true;
  }

  #newForm(view: DataView, qcType: number): RequestForm | null {
    this.#qcType = qcType;
    for (let i = 0; i < FORM_WORDS.length; i++) this.#words[i] = view.getUint32(FORM_WORDS[i]!, true);
    this.#form = formOf(view, qcType);
    return this.#form;
  }
}

/** The form of an SQE; null when it is malformed. */
function formOf(view: DataView, qcType: number): RequestForm | null {
  const compresses = qcType === directions.compress;
  const stateful = sqe.stateful.read(view, 0) === 1;
  const kind = kindOf(sqe.requestType.read(view, 0));
  const flush = flushOf(view, stateful);
  if (kind === null || flush === null || !formIsValid(view) || !codingIsValid(view, compresses)) return null;
  return {
    compresses,
    kind,
    flush,
    coding: codingOf(view),
    stateful,
    begins: !stateful || sqe.streamNew.read(view, 0) === 1,
    dictionaryBytes: sqe.dictionaryBytes.read(view, 0),
  };
}

function kindOf(requestType: number): RequestKind | null {
  if (requestType === requestTypes.raw) return 'raw';
  if (requestType === requestTypes.zlib) return 'zlib';
  return requestType === requestTypes.gzip ? 'gzip' : null;
}

const KINDS_BY_NUMBER = Object.fromEntries(
  Object.entries(flushKinds).map(([kind, number]) => [number, kind as FlushKind]),
);

/** Null when the field holds no kind, or one that a stateless request may not have. */
function flushOf(view: DataView, stateful: boolean): FlushKind | null {
  const field = sqe.flush.read(view, 0);
  const kind = field === 0 ? 'sync' : KINDS_BY_NUMBER[field - 1];
  if (kind === undefined || kind === 'finish') return null;
  if (sqe.finish.read(view, 0) === 1) return 'finish';
  return stateful || kind === 'sync' || kind === 'full' ? kind : null;
}

function formIsValid(view: DataView): boolean {
  const sqeType = sqe.sqeType.read(view, 0);
  if (sqeType !== 0 && sqeType !== SQE_TYPE_TAG_HIGH) return false;
  if (sqe.bufferType.read(view, 0) !== 0) return false;
  return sqe.codingReserved.read(view, 0) === 0 && sqe.dictionaryReserved.read(view, 0) === 0;
}

function codingIsValid(view: DataView, compresses: boolean): boolean {
  const levelPlusOne = sqe.levelPlusOne.read(view, 0);
  const strategy = sqe.strategy.read(view, 0);
  const memLevel = sqe.memLevel.read(view, 0);
  if (!compresses) return levelPlusOne + strategy + memLevel + sqe.flush.read(view, 0) === 0;
  return levelPlusOne <= LEVEL_MAX + 1 && strategy <= STRATEGY_MAX && memLevel <= MEM_LEVEL_MAX;
}

function codingOf(view: DataView): DeflateOptions {
  const levelPlusOne = sqe.levelPlusOne.read(view, 0);
  return {
    level: levelPlusOne === 0 ? codingDefaults.level : levelPlusOne - 1,
    strategy: sqe.strategy.read(view, 0),
    memLevel: sqe.memLevel.read(view, 0) || codingDefaults.memLevel,
    windowBits: codingDefaults.windowBits - sqe.windowCut.read(view, 0),
  };
}

function lengthsAreValid(request: ZipRequest): boolean {
  const { inputBytes, roomBytes, source, form } = request;
  const { dictionaryBytes, begins } = form;
  if (inputBytes > ZIP_BYTES_MAX || roomBytes > ZIP_BYTES_MAX) return false;
  if (dictionaryBytes > ZIP_DICTIONARY_BYTES_MAX || source < dictionaryBytes) return false;
  return begins || dictionaryBytes === 0;
}

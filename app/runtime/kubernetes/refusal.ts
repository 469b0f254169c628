import { Fault } from '#base/errors.ts';
import { type ObjectKey, objectText } from '../runtime.ts';
import type { Answer } from './client.ts';
import { at, listOf, textOf } from './fields.ts';

/** One entry of `status.details.causes`. */
export interface Cause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

export function causesOf(body: unknown): readonly Cause[] {
  return listOf(at(body, 'details', 'causes')).map((cause) => ({
    reason: textOf(at(cause, 'reason')),
    field: textOf(at(cause, 'field')),
    message: textOf(at(cause, 'message')),
  }));
}

/**
 * What the API server says is wrong with an object, as a fault. Some refusals differ in their text only; it is read
 * here, at the edge, and nowhere else.
 */
export function refusal(key: ObjectKey, { status, body }: Answer): Fault {
  const object = objectText(key);
  const causes = causesOf(body);
  const message = textOf(at(body, 'message')) || String(body).trim();
  const why = withoutStop(message);
  if (causes.some(({ reason }) => reason === 'NamespaceTerminating') || namespaceMissing(key, status, body))
    return new Fault('NAMESPACE_TERMINATING', { namespace: key.namespace });
  if (status === 404 && textOf(at(body, 'kind')) !== 'Status')
    return new Fault('KIND_MISSING', { object, kind: `${key.apiVersion} ${key.kind}` });
  if (status === 409) return new Fault('OBJECT_CONFLICT', { object, why });
  if (status === 403 && message.includes('exceeded quota:')) return new Fault('QUOTA_EXCEEDED', { object, why });
  const fields = [...new Set(causes.map(({ field }) => field).filter((field) => field !== ''))];
  const immutable = status === 422 && immutableTexts.some((text) => message.includes(text));
  if (!immutable && (status === 403 || / denied the request/.test(message)))
    return new Fault('OBJECT_DENIED', { object, why, status });
  return new Fault('OBJECT_REFUSED', { object, why, status, fields, immutable });
}

/** How the API server says that a living object cannot be changed so, though a new one could be. */
const immutableTexts = [
  'field is immutable',
  'may not change once set',
  'updates to statefulset spec for fields other than',
  'spec is immutable after creation except',
  'field can not be less than',
];

/** A namespace that another actor removed between two of our requests is made anew by the next run. */
function namespaceMissing(key: ObjectKey, status: number, body: unknown): boolean {
  return (
    status === 404 &&
    key.namespace !== '' &&
    at(body, 'details', 'kind') === 'namespaces' &&
    at(body, 'details', 'name') === key.namespace
  );
}

const withoutStop = (text: string) => text.replace(/\.$/, '');

/**
 * What a dialect refuses by itself, in its own words: a malformed request, mostly. What control refuses has a reason instead,
 * for which the dialect's table has the sentence.
 */
import { LegacyError } from '../../contract/legacy-error.ts';

export class Refusal extends LegacyError {}

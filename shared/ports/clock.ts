/** Time is a parameter. Everything that asks "now" asks this. */
export interface Clock {
  now(): Date;
}

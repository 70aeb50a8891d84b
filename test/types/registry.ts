/**
 * What generated code adds to the registry of task names.
 *
 * @module
 */
declare module "../../mod.ts" {
  interface TaskRegistry {
    /** Add two ints. */
    "proj.add"(x: number, y?: number): number;
    "orders.ship"(order: { id: number; sku: string }): Record<string, string>;
  }
}

export {};

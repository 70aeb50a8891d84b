export declare const ONCE: readonly string[];
export declare const ONLY_ON_NODE: readonly string[];
export declare const LONG: readonly string[];
export declare const IN_WORKERD: readonly string[];
export declare const OUT_OF_WORKERD: Readonly<Record<string, string>>;

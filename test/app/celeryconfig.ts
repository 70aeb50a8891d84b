/** Settings as a module, as Python programs keep them. */
export const task_default_queue = "from the module";
export default { result_expires: "1h" };

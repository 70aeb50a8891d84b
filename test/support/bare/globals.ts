/**
 * Node's measures, which tests take and these runtimes do not tell: the bounds on CPU time and memory hold on the others.
 *
 * @module
 */
function cpuUsage(): { user: number; system: number } {
  return { user: 0, system: 0 };
}

function memoryUsage(): { rss: number } {
  return { rss: 0 };
}

export { cpuUsage as "process.cpuUsage", memoryUsage as "process.memoryUsage" };

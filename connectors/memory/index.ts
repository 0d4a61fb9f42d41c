export { MemoryDestination } from './destination.ts';
export { memoryEncoding } from './encoding.ts';
export { MemoryOrigin, MemorySource } from './source.ts';
export { MemoryQueue, MemoryStreamingSource } from './streaming-source.ts';
export { MemoryWarehouse } from './warehouse.ts';

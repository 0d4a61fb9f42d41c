export { MemoryDestination } from './destination.ts';
export { jsonRowEncoding as memoryEncoding } from '../kit/json-rows.ts';
export { MemoryOrigin, MemorySource } from './source.ts';
export { MemoryQueue, MemoryStreamingSource } from './streaming-source.ts';
export { MemoryWarehouse } from './warehouse.ts';

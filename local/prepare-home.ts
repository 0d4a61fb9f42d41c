import { homeDirectory, openHome } from './home.ts';

/** Makes the home with its secrets where no supervisor does it: in a container (`Dockerfile`). */
await openHome(homeDirectory());

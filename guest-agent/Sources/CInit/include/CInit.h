// What has to happen before the Swift runtime is set up, and what its small form lacks.
#ifndef CINIT_H
#define CINIT_H

// To be called first in main.
void cinit_settle(void);

#endif

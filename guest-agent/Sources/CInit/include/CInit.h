// What has to happen before the Swift runtime is set up.
#ifndef CINIT_H
#define CINIT_H

// Nothing to call: the work is done before main. A name for Swift to see that the room is linked.
void cinit_linked(void);

#endif

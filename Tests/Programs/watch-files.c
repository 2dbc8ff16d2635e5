// watch-files PATH SECONDS: prints a line for each change that inotify tells of.
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

static const struct {
    unsigned int event;
    const char *word;
} words[] = {
    {IN_CREATE, "created"},     {IN_CLOSE_WRITE, "written"}, {IN_ATTRIB, "attributes"},
    {IN_MOVED_FROM, "from"},    {IN_MOVED_TO, "to"},         {IN_DELETE, "deleted"},
    {IN_DELETE_SELF, "gone"},
};

int main(int count, char **arguments) {
    int inotify = inotify_init();
    unsigned int events = IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
    events |= IN_DELETE_SELF;
    if (count != 3 || inotify_add_watch(inotify, arguments[1], events) < 0) {
        perror("watch");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("watching");
    alarm((unsigned int)atoi(arguments[2]));
    for (;;) {
        char buffer[4096] __attribute__((aligned(8)));
        ssize_t length = read(inotify, buffer, sizeof buffer);
        if (length <= 0) return 1;
        for (char *at = buffer; at < buffer + length;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                if (event->mask & words[i].event) printf("%s %s\n", words[i].word, event->len ? event->name : "");
            at += sizeof *event + event->len;
        }
    }
}

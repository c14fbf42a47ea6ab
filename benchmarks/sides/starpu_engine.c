/* The engine benchmark's graphs on StarPU: two CPU workers, tasks that do nothing.
 *
 * usage: starpu_engine SCHEDULER NAME=GRAPHFILE...     (files as written by graphs.py: save)
 * Speaks the protocol of protocol.py. Between samples the workers are paused, so that they do not
 * spin while another side is measured.
 */
#include <starpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_ACCESSES 8
#define MOST_SIGNATURES 16

struct operation {
    int signature; /* index of its codelet: StarPU keeps the access modes there */
    int count;
    int resource[MOST_ACCESSES];
};

struct graph {
    const char *name;
    int resources, operations;
    struct operation *operation;
};

static void nothing(void *buffers[], void *arguments) {
    (void)buffers;
    (void)arguments;
}

static struct starpu_codelet codelets[MOST_SIGNATURES];
static char signatures[MOST_SIGNATURES][MOST_ACCESSES + 1];
static int signature_count;

static void fail(const char *what) {
    fprintf(stderr, "starpu_engine: %s\n", what);
    exit(1);
}

/* The index of the codelet whose data have these modes, made at its first use. */
static int codelet_of(const char *modes) {
    for (int i = 0; i < signature_count; i++)
        if (!strcmp(signatures[i], modes)) return i;
    if (signature_count == MOST_SIGNATURES) fail("too many kinds of operation");
    struct starpu_codelet *codelet = &codelets[signature_count];
    starpu_codelet_init(codelet);
    codelet->cpu_funcs[0] = nothing;
    codelet->nbuffers = (int)strlen(modes);
    for (int i = 0; modes[i]; i++)
        codelet->modes[i] = modes[i] == 'r' ? STARPU_R : modes[i] == 'w' ? STARPU_W : STARPU_RW;
    strcpy(signatures[signature_count], modes);
    return signature_count++;
}

static struct graph load(char *argument) {
    struct graph graph;
    char line[512], *path = strchr(argument, '=');
    if (!path) fail("an argument is not NAME=GRAPHFILE");
    *path++ = 0;
    graph.name = argument;
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file)) fail("a graph file cannot be read");
    if (sscanf(line, "%d %d", &graph.resources, &graph.operations) != 2) fail("a bad graph file");
    graph.operation = calloc((size_t)graph.operations, sizeof *graph.operation);
    for (int i = 0; i < graph.operations; i++) {
        struct operation *operation = &graph.operation[i];
        char modes[MOST_ACCESSES + 1] = "";
        if (!fgets(line, sizeof line, file)) fail("a graph file ends early");
        for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
            if (operation->count == MOST_ACCESSES) fail("too many accesses");
            modes[operation->count] = word[0];
            operation->resource[operation->count++] = atoi(word + 1);
        }
        operation->signature = codelet_of(modes);
    }
    fclose(file);
    return graph;
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void sample(const struct graph *graph, FILE *answers) {
    size_t count = (size_t)graph->resources;
    starpu_data_handle_t *handles = calloc(count, sizeof *handles);
    long *words = calloc(count, sizeof *words);
    for (size_t i = 0; i < count; i++)
        starpu_variable_data_register(&handles[i], STARPU_MAIN_RAM, (uintptr_t)&words[i],
                                      sizeof words[i]);
    starpu_resume();
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < graph->operations; i++) {
        const struct operation *operation = &graph->operation[i];
        struct starpu_task *task = starpu_task_create();
        task->cl = &codelets[operation->signature];
        for (int j = 0; j < operation->count; j++)
            task->handles[j] = handles[operation->resource[j]];
        if (starpu_task_submit(task)) fail("a task was refused");
    }
    starpu_task_wait_for_all();
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    for (size_t i = 0; i < count; i++) starpu_data_unregister(handles[i]);
    starpu_pause();
    free(handles);
    free(words);
    fprintf(answers, "{\"wall\": %.9f, \"cpu\": %.9f, \"operations\": %d, \"extra\": {}}\n", wall,
            cpu, graph->operations);
}

int main(int argc, char **argv) {
    struct graph graphs[16];
    int count = argc - 2;
    char line[256], wanted[256];
    if (count < 1 || count > 16) fail("usage: starpu_engine SCHEDULER NAME=GRAPHFILE...");
    for (int i = 0; i < count; i++) graphs[i] = load(argv[i + 2]);

    struct starpu_conf conf;
    starpu_conf_init(&conf);
    conf.ncpus = 2;
    conf.sched_policy_name = argv[1];
    if (starpu_init(&conf)) fail("StarPU does not start");
    starpu_pause();

    int version[3];
    starpu_get_version(&version[0], &version[1], &version[2]);
    printf("{\"ready\": true, \"about\": \"StarPU %d.%d.%d, %s\"}\n", version[0], version[1],
           version[2], argv[1]);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        int found = 0;
        for (int i = 0; i < count && !found; i++) {
            snprintf(wanted, sizeof wanted, "\"%s\"", graphs[i].name);
            found = strstr(line, wanted) != NULL;
            if (found) sample(&graphs[i], stdout);
        }
        if (!found) printf("{\"error\": \"no such case\"}\n");
        fflush(stdout);
    }
    starpu_resume();
    starpu_shutdown();
    return 0;
}

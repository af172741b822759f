// SPDX-License-Identifier: Apache-2.0
// DPI functions that run the hls4ml C++ in a simulator. ZYNQ_LSTM_NETWORK is the project's top function for doubles;
// it and the others below are in the library that hls4ml compiled (hls/vitis/nnet_utils/zynq_lstm_csim.h).
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

extern "C" {
void ZYNQ_LSTM_NETWORK(double *codes, double *logits);
void zynq_lstm_reset();
void zynq_lstm_trace(long long *buffer, size_t count);
long long *zynq_lstm_trace_end();
unsigned long long zynq_lstm_sums_too_wide();
}

static const int WORD_LOGITS = ZYNQ_LSTM_WORD_LOGITS; // logits in a line of their trace
static const int DIGITS = ZYNQ_LSTM_SIGNAL_BITS / 4; // digits of a word of a trace
static const unsigned MASK = (1u << ZYNQ_LSTM_SIGNAL_BITS) - 1;
static std::vector<long long> values;
static int logits_at = 0;
static FILE *logits_file = 0;

// Signals of a layer that go to the file of one gate pipeline, a line for each unit.
struct Stage {
    FILE *file;
    int units, first_unit; // and the number of the first one in the file
    int at, stride;        // values before the layer's, and values of a unit
    unsigned signals;      // a bit for each value of a unit that goes to this file
};
static std::vector<Stage> stages;

static FILE *open_file(const char *path) {
    FILE *file = fopen(path, "a");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

extern "C" void zynq_lstm_dpi_trace_logits(const char *path) { logits_file = open_file(path); }

extern "C" void zynq_lstm_dpi_trace_stage(const char *path, int units, int first_unit, int at, int stride,
                                          int signals) {
    const Stage stage = {open_file(path), units, first_unit, at, stride, (unsigned)signals};
    stages.push_back(stage);
}

// Writes the same lines as the trace monitors of the gate pipelines and output_layer.sv (sim/simulation/rtl_trace.py reads them).
static void write_lines(int vocabulary, int lowest) {
    for (size_t n = 0; n < stages.size(); n++) {
        const Stage &stage = stages[n];
        for (int unit = 0; unit < stage.units; unit++) {
            fprintf(stage.file, "%0*x", DIGITS, stage.first_unit + unit);
            for (int k = 0; k < stage.stride; k++) {
                if (stage.signals >> k & 1) {
                    fprintf(stage.file, "%0*x", DIGITS, (unsigned)values[stage.at + unit * stage.stride + k] & MASK);
                }
            }
            fputc('\n', stage.file);
        }
        fflush(stage.file);
    }
    for (int v = 0; v % WORD_LOGITS || v < vocabulary; v++) {
        const long long logit = v < vocabulary ? values[logits_at + v] : lowest;
        fprintf(logits_file, "%0*x%s", DIGITS, (unsigned)logit & MASK, v % WORD_LOGITS == WORD_LOGITS - 1 ? "\n" : "");
    }
    fflush(logits_file);
}

extern "C" void zynq_lstm_dpi_character(int code, int fresh, int signal_values, int vocabulary) {
    if (fresh) {
        zynq_lstm_reset();
    }
    logits_at = signal_values;
    values.assign(logits_at + vocabulary, 0);
    std::vector<double> logits(vocabulary);
    double word = code;
    zynq_lstm_trace(values.data(), values.size());
    ZYNQ_LSTM_NETWORK(&word, logits.data());
    if (zynq_lstm_trace_end() != values.data() + values.size() || zynq_lstm_sums_too_wide()) {
        fprintf(stderr, "the C++ recorded too few values, or a sum did not fit its accumulator\n");
        exit(1);
    }
    if (logits_file) {
        write_lines(vocabulary, -(1 << (ZYNQ_LSTM_SIGNAL_BITS - 1)));
    }
}

extern "C" int zynq_lstm_dpi_logit(int code) { return (int)values[logits_at + code]; }

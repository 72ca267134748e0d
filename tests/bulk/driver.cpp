// Feeds a design vectors from standard input, in batches, and compares what it answers.
//
// A batch: `Header`; the settings; `inputs` payloads of stream i; `outputs` payloads of stream o;
// the status. Each port takes the bytes that Verilator gives it. Streams idle and stall at random,
// as the batch says. After a batch whatever is left inside must have come out, and nothing more.
//
// Prints JSON: what was done, or the first difference, then with exit code 1.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "Vtop.h"
#include "binding.h"
#include "verilated.h"

namespace {

constexpr unsigned STUCK_CYCLES = 10000;

struct Header {
    uint32_t inputs, outputs;  // transfers
    uint32_t idle, stall;      // cycles in 256 without a transfer offered, or taken
    uint32_t reset, load;      // what comes before: a reset, a cycle of `load`
    uint32_t settle;           // cycles after the last transfer, before the status is compared
    uint32_t seed;
};

using Bytes = std::vector<uint8_t>;

struct Counts {
    uint64_t batches = 0, inputs = 0, outputs = 0, cycles = 0, idle = 0, stalls = 0;
} counts;

std::string hex(const uint8_t *bytes, size_t size) {
    std::string text;
    char digits[3];
    for (size_t i = size; i--;) {
        snprintf(digits, sizeof digits, "%02x", bytes[i]);
        text += digits;
    }
    return text;
}

[[noreturn]] void differ(const char *what, uint64_t word, const std::string &golden,
                         const std::string &rtl) {
    printf("{\"what\": \"%s\", \"batch\": %" PRIu64 ", \"word\": %" PRIu64 ", \"cycle\": %" PRIu64
           ", \"golden\": \"%s\", \"rtl\": \"%s\"}\n",
           what, counts.batches, word, counts.cycles, golden.c_str(), rtl.c_str());
    exit(1);
}

bool read(void *data, size_t size) { return !size || fread(data, size, 1, stdin) == 1; }

Bytes read_bytes(size_t size) {
    Bytes bytes(size);
    if (!read(bytes.data(), size)) {
        fprintf(stderr, "a batch ends early\n");
        exit(2);
    }
    return bytes;
}

template <class Port>
std::string text(const Port &port) {
    return hex(reinterpret_cast<const uint8_t *>(&port), sizeof port);
}

class Bench {
  public:
    Bench() : top_(std::make_unique<Vtop>(&context_)) { set_reset(*top_, true); }
    ~Bench() { top_->final(); }

    void run(const Header &header) {
        const Bytes settings = read_bytes(SETTING_BYTES);
        const Bytes in = read_bytes(header.inputs * IN_BYTES);
        const Bytes out = read_bytes(header.outputs * OUT_BYTES);
        const Bytes status = read_bytes(STATUS_BYTES);
        prepare(header, settings.data());
        transfer(header, in.data(), out.data());
        compare_status(status.data());
        counts.batches++;
        counts.inputs += header.inputs;
        counts.outputs += header.outputs;
    }

  private:
    void edge() {
        set_clock(*top_, true);
        top_->eval();
        set_clock(*top_, false);
        counts.cycles++;
    }

    void rest() {
        offer(*top_, nullptr, false);
        top_->O__READY = 0;
        top_->eval();
    }

    void prepare(const Header &header, const uint8_t *settings) {
        set_load(*top_, false);
        rest();
        set_reset(*top_, header.reset);
        if (header.reset) edge();
        set_reset(*top_, false);
        each_setting(*top_, [&settings](auto &port) {
            memcpy(&port, settings, sizeof port);
            settings += sizeof port;
        });
        set_load(*top_, header.load);
        rest();
        edge();
        set_load(*top_, false);
        rest();
    }

    void transfer(const Header &header, const uint8_t *in, const uint8_t *out) {
        std::mt19937 random(header.seed);
        uint32_t given = 0, taken = 0;
        unsigned quiet = 0;
        bool offered = false, waiting = false;
        uint8_t waits[sizeof top_->O__PAYLOAD] = {};
        while (given < header.inputs || taken < header.outputs || quiet < header.settle) {
            const uint32_t dice = random();
            if (!offered && given < header.inputs) {
                offered = (dice & 255) >= header.idle;
                // What stands there while nothing is offered must not matter.
                const uint32_t word = offered ? given : (dice >> 16) % header.inputs;
                offer(*top_, in + word * IN_BYTES, offered);
                counts.idle += !offered;
            }
            if (given == header.inputs) offer(*top_, nullptr, false);
            const bool enough = !IN_BYTES && taken == header.outputs;
            top_->O__READY = !enough && (dice >> 8 & 255) >= header.stall;
            top_->eval();

            const uint8_t *payload = reinterpret_cast<const uint8_t *>(&top_->O__PAYLOAD);
            const bool valid = o_valid(*top_);
            if (waiting && !valid) differ("o dropped a transfer that waited", taken, "", "");
            if (waiting && memcmp(payload, waits, OUT_BYTES))
                differ("o changed while it waited", taken, hex(waits, OUT_BYTES),
                       text(top_->O__PAYLOAD));
            const bool left = valid && top_->O__READY;
            const bool went = offered && i_ready(*top_);
            waiting = valid && !left;
            if (waiting) {
                memcpy(waits, payload, OUT_BYTES);
                counts.stalls++;
            }
            if (left) {
                if (taken == header.outputs)
                    differ("o has a transfer too many", taken, "", text(top_->O__PAYLOAD));
                const uint8_t *wanted = out + taken * OUT_BYTES;
                if (memcmp(payload, wanted, OUT_BYTES))
                    differ("o", taken, hex(wanted, OUT_BYTES), text(top_->O__PAYLOAD));
                taken++;
            }
            if (went) {
                given++;
                offered = false;
            }
            quiet = left || went ? 0 : quiet + 1;
            if (quiet > STUCK_CYCLES)
                differ("nothing moves", taken, std::to_string(header.outputs), std::to_string(taken));
            edge();
        }
    }

    void compare_status(const uint8_t *status) {
        uint64_t place = 0;
        each_status(*top_, [&](const char *name, auto &port) {
            if (memcmp(&port, status, sizeof port))
                differ(name, place, hex(status, sizeof port), text(port));
            status += sizeof port;
            place++;
        });
    }

    VerilatedContext context_;
    std::unique_ptr<Vtop> top_;
};

}  // namespace

int main() {
    Bench bench;
    for (Header header; read(&header, sizeof header);) bench.run(header);
    printf("{\"batches\": %" PRIu64 ", \"inputs\": %" PRIu64 ", \"outputs\": %" PRIu64
           ", \"cycles\": %" PRIu64 ", \"idle\": %" PRIu64 ", \"stalls\": %" PRIu64 "}\n",
           counts.batches, counts.inputs, counts.outputs, counts.cycles, counts.idle,
           counts.stalls);
}

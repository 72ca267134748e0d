// A design with a serial line, behind a pseudo-terminal: clk, rst, rx, tx, perhaps running.
//
// simulated_board PTY CONTROL BIT_CYCLES SEED
//
// PTY and CONTROL are open file descriptors: the master of a pseudo-terminal, and a pipe whose
// lines set the state of the line (see `Line`). The simulation ends when CONTROL is closed, and
// prints what it did as JSON.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <memory>
#include <random>
#include <string>

#include "Vtop.h"
#include "verilated.h"

#ifdef HAS_RUNNING
#define RUNNING(top) ((top).running)
#else
#define RUNNING(top) false
#endif

namespace {

constexpr int FRAME_BITS = 10;             // start, 8 data, stop
constexpr uint64_t POLL_CYCLES = 64;       // how often the host is looked at
constexpr uint64_t IDLE_CYCLES = 1 << 18;  // of silence, after which the simulation may rest
constexpr int REST_MS = 20;
constexpr size_t PENDING_MAX = 1 << 20;  // frames kept for a host that does not read

// How the line treats each byte, in either direction: probabilities, and the ratio of the length
// of the host's bits to that of the design's.
struct Line {
    double drop = 0, flip = 0, repeat = 0, garbage = 0, skew = 1;
    int connected = 1;
};

struct Counts {
    uint64_t cycles = 0, to_board = 0, from_board = 0;
    uint64_t dropped = 0, flipped = 0, repeated = 0, garbage = 0, framing_errors = 0, lost = 0;
};

Line line;
Counts counts;

uint16_t frame_of(uint8_t byte) { return (1 << (FRAME_BITS - 1)) | (byte << 1); }

// One direction of the line. What it does depends on the bytes that pass, not on when they do.
class Direction {
  public:
    explicit Direction(uint64_t seed) : generator_(seed) {}

    void pass(uint16_t frame) {
        if (chance(line.drop) || !line.connected) {
            counts.dropped++;
            return;
        }
        if (chance(line.garbage)) {
            counts.garbage++;
            frames.push_back(frame_of(generator_()));
        }
        if (chance(line.flip)) {
            counts.flipped++;
            frame ^= 1 << (generator_() % FRAME_BITS);
        }
        frames.push_back(frame);
        if (chance(line.repeat)) {
            counts.repeated++;
            frames.push_back(frame);
        }
    }

    // Frames on their way, bit 0 first.
    std::deque<uint16_t> frames;

  private:
    bool chance(double probability) {
        return probability > 0 && std::uniform_real_distribution<>()(generator_) < probability;
    }

    std::mt19937_64 generator_;
};

// The host's transmitter: frames on rx, one after the other.
class Transmitter {
  public:
    Transmitter(double bit_cycles, std::deque<uint16_t> &frames)
        : bit_cycles_(bit_cycles), frames_(frames) {}

    bool idle() const { return !left_ && frames_.empty(); }

    bool level(uint64_t cycle) {
        if (left_ && static_cast<double>(cycle) >= next_) {
            left_--;
            frame_ >>= 1;
            next_ += bit_cycles_ * line.skew;
        }
        if (!left_) {
            if (frames_.empty()) return true;
            frame_ = frames_.front();
            frames_.pop_front();
            counts.to_board++;
            left_ = FRAME_BITS;
            next_ = static_cast<double>(cycle) + bit_cycles_ * line.skew;
        }
        return frame_ & 1;
    }

  private:
    double bit_cycles_, next_ = 0;
    std::deque<uint16_t> &frames_;
    uint16_t frame_ = 1;
    int left_ = 0;
};

// The host's receiver: samples tx in the middle of each bit.
class Receiver {
  public:
    explicit Receiver(double bit_cycles) : bit_cycles_(bit_cycles) {}

    bool idle() const { return !left_; }

    // True when a frame has come, to be read from `frame`.
    bool sample(bool level, uint64_t cycle) {
        if (!left_) {
            if (!level && before_) {
                left_ = FRAME_BITS;
                next_ = static_cast<double>(cycle) + bit_cycles_ * line.skew / 2;
            }
            before_ = level;
            return false;
        }
        before_ = level;
        if (static_cast<double>(cycle) < next_) return false;
        next_ += bit_cycles_ * line.skew;
        frame = (frame >> 1) | (level << (FRAME_BITS - 1));
        if (--left_) return false;
        counts.from_board++;
        return true;
    }

    uint16_t frame = 0;

  private:
    double bit_cycles_, next_ = 0;
    int left_ = 0;
    bool before_ = true;
};

// Hands frames over to the host as far as it takes them; those whose stop or start bit is wrong it
// does not see.
void hand_over(int pty, std::deque<uint16_t> &frames) {
    for (; !frames.empty(); frames.pop_front()) {
        const uint16_t frame = frames.front();
        if ((frame & 1) || !(frame >> (FRAME_BITS - 1))) {
            counts.framing_errors++;
            continue;
        }
        const uint8_t byte = frame >> 1;
        if (write(pty, &byte, 1) != 1) return;
    }
}

// Reads whole lines of CONTROL; false once it is closed.
bool obey(int control) {
    static std::string text;
    char buffer[256];
    ssize_t size = read(control, buffer, sizeof buffer);
    if (size == 0) return false;
    if (size > 0) text.append(buffer, size);
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
        Line wanted;
        if (sscanf(text.c_str(), "%lf %lf %lf %lf %lf %d", &wanted.drop, &wanted.flip,
                   &wanted.repeat, &wanted.garbage, &wanted.skew, &wanted.connected) == 6)
            line = wanted;
    }
    return true;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: %s PTY CONTROL BIT_CYCLES SEED\n", argv[0]);
        return 2;
    }
    const int pty = atoi(argv[1]), control = atoi(argv[2]);
    const double bit_cycles = atof(argv[3]);
    const uint64_t seed = strtoull(argv[4], nullptr, 10);
    for (int file : {pty, control}) fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);

    auto context = std::make_unique<VerilatedContext>();
    auto top = std::make_unique<Vtop>(context.get());
    Direction to_board(2 * seed), from_board(2 * seed + 1);
    Transmitter transmitter(bit_cycles, to_board.frames);
    Receiver receiver(bit_cycles);
    top->rx = 1;
    top->rst = 1;
    uint64_t cycle = 0, busy_until = IDLE_CYCLES;
    const auto started = std::chrono::steady_clock::now();

    for (;; cycle++) {
        if (cycle % POLL_CYCLES == 0) {
            if (!obey(control)) break;
            if (to_board.frames.empty()) {
                uint8_t buffer[512];
                ssize_t size = read(pty, buffer, sizeof buffer);
                for (ssize_t i = 0; i < size; i++) to_board.pass(frame_of(buffer[i]));
            }
            hand_over(pty, from_board.frames);
            if (!transmitter.idle() || !receiver.idle() || RUNNING(*top))
                busy_until = cycle + IDLE_CYCLES;
            if (cycle > busy_until) {
                pollfd files[] = {{pty, POLLIN, 0}, {control, POLLIN, 0}};
                poll(files, 2, REST_MS);
            }
        }
        if (cycle == 2) top->rst = 0;
        top->rx = transmitter.level(cycle);
        top->clk = 1;
        top->eval();
        if (receiver.sample(top->tx, cycle)) {
            if (from_board.frames.size() < PENDING_MAX)
                from_board.pass(receiver.frame);
            else
                counts.lost++;
        }
        top->clk = 0;
        top->eval();
    }
    top->final();
    counts.cycles = cycle;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
    const double cpu = static_cast<double>(clock()) / CLOCKS_PER_SEC;
    auto print = [](const char *name, uint64_t value) {
        printf("\"%s\": %llu, ", name, static_cast<unsigned long long>(value));
    };
    printf("{");
    print("cycles", counts.cycles);
    print("to_board", counts.to_board);
    print("from_board", counts.from_board);
    print("dropped", counts.dropped);
    print("flipped", counts.flipped);
    print("repeated", counts.repeated);
    print("garbage", counts.garbage);
    print("framing_errors", counts.framing_errors);
    print("lost", counts.lost);
    printf("\"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", seconds.count(), cpu);
    return 0;
}

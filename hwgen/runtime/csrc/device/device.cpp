/*
 * A simulated core as a device (hwgen.h): Verilator's model of the emitted Verilog, driven at full
 * rate. Each operand stream offers a beat whenever it has one, the result stream is always ready,
 * so a block's rows are taken while later blocks run.
 *
 * Vcore.h is Verilator's, core.h holds the design's constants; hwgen/runtime/device_library.py makes
 * both. No exception leaves this file.
 */
#include <algorithm>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "Vcore.h"
#include "core.h"
#include "packing.h"
#include "verilated.h"

/* In hwgen.h a type has the name of the function. */
#define hwgen_device_state hwgen_state
#include "hwgen.h"
#undef hwgen_device_state

#define HWGEN_EXPORT extern "C" HWGEN_API

/* Verilator's own would end the process. */
void vl_fatal(const char *, int, const char *, const char *message)
{
    throw std::runtime_error(message);
}

namespace {

/* Status bits of an element: invalid, overflow, inexact. */
constexpr int status_width = 3;

/* The core broke a rule of its streams, or does nothing any more. */
struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/* An operand stream: the beats of one run, each offered until it is taken. */
template <int lanes, int width, typename Data> class Source {
  public:
    Source(CData &valid, const CData &ready, CData &last, Data &data)
        : valid_(valid), ready_(ready), last_(last), data_(data)
    {
    }

    void start(const void *patterns, std::uint64_t beats, std::uint64_t length)
    {
        next_ = static_cast<const unsigned char *>(patterns);
        beats_ = beats;
        length_ = length;
        taken_ = place_ = 0;
        offer();
    }

    /* Whether the coming clock edge takes a beat. */
    bool transfers() const { return valid_ && ready_; }

    /* What happens after an edge that took a beat. */
    void advance()
    {
        taken_++;
        place_ = last_ ? 0 : place_ + 1;
        offer();
    }

    std::uint64_t taken() const { return taken_; }

  private:
    void offer()
    {
        valid_ = taken_ < beats_;
        if (!valid_)
            return;
        beat_.from_memory(next_);
        beat_.to_port(data_);
        next_ += beat_.bytes;
        last_ = place_ + 1 == length_;
    }

    CData &valid_;
    const CData &ready_;
    CData &last_;
    Data &data_;
    Beat<lanes, width> beat_;
    const unsigned char *next_ = nullptr;
    std::uint64_t beats_ = 0, length_ = 0, taken_ = 0; /* of all blocks, of each */
    std::uint64_t place_ = 0; /* of the offered beat in its block */
};

/* The result stream: rows of one run, always taken. */
class Sink {
  public:
    explicit Sink(Vcore &core) : core_(core) {}

    void start(void *patterns, std::uint8_t *status, std::uint64_t blocks)
    {
        patterns_ = static_cast<unsigned char *>(patterns);
        status_ = status;
        rows_ = blocks * design::rows;
        taken_ = 0;
    }

    bool transfers() const { return core_.m_axis_c_tvalid; }

    bool complete() const { return taken_ == rows_; }

    /* Takes the row that is offered; `terms` beats make a block, of which `beats` were sent. */
    void take(std::uint64_t beats, std::uint64_t terms)
    {
        if (taken_ / design::rows >= beats / terms)
            throw Fault("a row came out before its block had gone in");
        const bool last = taken_ % design::rows == design::rows - 1;
        if (core_.m_axis_c_tlast != last)
            throw Fault(last ? "tlast is missing on a block's last row"
                             : "tlast came before a block's last row");
        row_.from_port(core_.m_axis_c_tdata);
        row_.to_memory(patterns_);
        patterns_ += row_.bytes;
        if (status_ != nullptr) {
            flags_.from_port(core_.m_axis_c_tuser);
            flags_.to_memory(status_);
            status_ += flags_.bytes;
        }
        taken_++;
    }

  private:
    Vcore &core_;
    Beat<design::cols, design::c_width> row_;
    Beat<design::cols, status_width> flags_;
    unsigned char *patterns_ = nullptr;
    std::uint8_t *status_ = nullptr;
    std::uint64_t rows_ = 0, taken_ = 0;
};

template <typename Port> using data_of = std::remove_reference_t<Port>;

} // namespace

struct hwgen_device {
    hwgen_device();
    ~hwgen_device() { core.final(); }

    void run(std::uint64_t blocks, std::uint64_t length, const void *a, const void *b, void *c,
             std::uint8_t *status);

    VerilatedContext context;
    Vcore core{&context, "core"};
    std::uint64_t cycles = 0, beats = 0;
    std::string reason;      /* why it works no more */
    mutable std::mutex lock; /* one run at a time */

  private:
    void clock()
    {
        core.aclk = 1;
        core.eval();
        core.aclk = 0;
        core.eval();
    }

    void step(std::uint64_t length);

    using DataA = data_of<decltype(Vcore::s_axis_a_tdata)>;
    using DataB = data_of<decltype(Vcore::s_axis_b_tdata)>;
    Source<design::rows * design::dot, design::a_width, DataA> source_a{
        core.s_axis_a_tvalid, core.s_axis_a_tready, core.s_axis_a_tlast, core.s_axis_a_tdata};
    Source<design::cols * design::dot, design::b_width, DataB> source_b{
        core.s_axis_b_tvalid, core.s_axis_b_tready, core.s_axis_b_tlast, core.s_axis_b_tdata};
    Sink sink{core};
    std::uint64_t idle = 0; /* cycles without a beat or a row */
};

/* Resets the core and lets it clear itself, so that a run's first beat is taken at once. */
hwgen_device::hwgen_device()
{
    core.aclk = 0;
    core.aresetn = 0;
    core.s_axis_a_tvalid = core.s_axis_b_tvalid = 0;
    core.m_axis_c_tready = 1;
    core.eval();
    for (int i = 0; i < 4; i++)
        clock();
    core.aresetn = 1;
    for (std::uint64_t i = 0; i < design::settling_cycles; i++)
        clock();
}

void hwgen_device::run(std::uint64_t blocks, std::uint64_t length, const void *a, const void *b,
                       void *c, std::uint8_t *status)
{
    source_a.start(a, blocks * length, length);
    source_b.start(b, blocks * length, length);
    sink.start(c, status, blocks);
    idle = 0;
    while (!sink.complete())
        step(length);
}

/* One clock cycle: what the edge takes is known before it. */
void hwgen_device::step(std::uint64_t length)
{
    const bool takes_a = source_a.transfers(), takes_b = source_b.transfers();
    const bool gives = sink.transfers();
    if (gives)
        sink.take(std::min(source_a.taken(), source_b.taken()), length);
    clock();
    cycles++;
    if (takes_a) {
        source_a.advance();
        beats++;
    }
    if (takes_b)
        source_b.advance();
    if (core.protocol_error)
        throw Fault("protocol_error rose though A and B have blocks of one length");
    idle = takes_a || takes_b || gives ? 0 : idle + 1;
    if (idle > design::patience_cycles)
        throw Fault("nothing moved for " + std::to_string(idle) + " cycles");
}

HWGEN_EXPORT hwgen_device *hwgen_device_open(char *error, size_t size)
{
    try {
        return new hwgen_device;
    } catch (const std::exception &problem) {
        std::snprintf(error, size, "%s: the simulation does not start: %s", design::name,
                      problem.what());
    } catch (...) {
        std::snprintf(error, size, "%s: the simulation does not start", design::name);
    }
    return nullptr;
}

HWGEN_EXPORT int hwgen_device_run(hwgen_device *device, int64_t blocks, int64_t length,
                                  const void *a, const void *b, void *c, uint8_t *status)
{
    if (blocks < 0 || length < 1)
        return HWGEN_UNSUPPORTED;
    const std::lock_guard<std::mutex> guard(device->lock);
    if (!device->reason.empty())
        return HWGEN_DEVICE_FAILED;
    try {
        device->run(std::uint64_t(blocks), std::uint64_t(length), a, b, c, status);
        return HWGEN_OK;
    } catch (const std::exception &problem) {
        device->reason = std::string(design::name) + ", cycle " + std::to_string(device->cycles)
                         + ": " + problem.what();
    } catch (...) {
        device->reason = std::string(design::name) + ": an unknown exception";
    }
    return HWGEN_DEVICE_FAILED;
}

HWGEN_EXPORT void hwgen_device_state(const hwgen_device *device, hwgen_state *state)
{
    const std::lock_guard<std::mutex> guard(device->lock);
    *state = {design::rows, design::cols, design::dot, device->cycles, device->beats, {}};
    std::copy_n(design::digest, sizeof state->digest, state->digest);
}

/* Why the device works no more; empty while it does. */
HWGEN_EXPORT const char *hwgen_device_reason(const hwgen_device *device)
{
    return device->reason.c_str();
}

HWGEN_EXPORT void hwgen_device_close(hwgen_device *device)
{
    delete device;
}

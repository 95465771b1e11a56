/*
 * Patterns in memory and in the words of a stream: elements of any width, packed without gaps,
 * element 0 in the low bits, zeros above the last one.
 */
#ifndef HWGEN_PACKING_H
#define HWGEN_PACKING_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words and ports are copied as bytes");

/* Bytes of a pattern in memory: the narrowest unsigned integer, or whole words beyond 64 bits. */
constexpr std::size_t pattern_bytes(int width)
{
    return width <= 8 ? 1 : width <= 16 ? 2 : width <= 32 ? 4 : 8 * ((std::size_t(width) + 63) / 64);
}

/* The words of `lanes` elements of `width` bits, as they pass through a port. */
template <int lanes, int width> class Beat {
  public:
    static constexpr std::size_t bytes = lanes * pattern_bytes(width); /* in memory */

    template <typename Port> void to_port(Port &port) const
    {
        static_assert(sizeof port <= sizeof words_ && std::is_trivially_copyable_v<Port>);
        std::memcpy(&port, words_, sizeof port);
    }

    template <typename Port> void from_port(const Port &port)
    {
        static_assert(sizeof port <= sizeof words_ && std::is_trivially_copyable_v<Port>);
        std::memcpy(words_, &port, sizeof port);
    }

    void from_memory(const unsigned char *elements)
    {
        if constexpr (dense) {
            std::memcpy(words_, elements, bytes);
            return;
        }
        std::memset(words_, 0, sizeof words_);
        for (int lane = 0; lane < lanes; lane++)
            for (int low = 0; low < width; low += 64)
                insert(lane * width + low, part_of(low), load(elements, lane, low));
    }

    void to_memory(unsigned char *elements) const
    {
        if constexpr (dense) {
            std::memcpy(elements, words_, bytes);
            return;
        }
        for (int lane = 0; lane < lanes; lane++)
            for (int low = 0; low < width; low += 64)
                store(elements, lane, low, extract(lane * width + low, part_of(low)));
    }

  private:
    /* Whether memory holds an element in as many bits as a stream does. */
    static constexpr bool dense = width == 8 * int(pattern_bytes(width));
    /* What an element has in one place of memory: all of it, or a word. */
    static constexpr std::size_t place = width <= 64 ? pattern_bytes(width) : 8;

    static constexpr int part_of(int low) { return width - low < 64 ? width - low : 64; }

    static std::size_t address(int lane, int low)
    {
        return std::size_t(lane) * pattern_bytes(width) + std::size_t(low) / 8;
    }

    static std::uint64_t load(const unsigned char *elements, int lane, int low)
    {
        std::uint64_t part = 0;
        std::memcpy(&part, elements + address(lane, low), place);
        return part;
    }

    static void store(unsigned char *elements, int lane, int low, std::uint64_t part)
    {
        std::memcpy(elements + address(lane, low), &part, place);
    }

    static std::uint64_t mask(int bits) { return ~std::uint64_t(0) >> (64 - bits); }

    void insert(int position, int bits, std::uint64_t part)
    {
        const int shift = position % 64;
        part &= mask(bits);
        words_[position / 64] |= part << shift;
        if (shift + bits > 64)
            words_[position / 64 + 1] |= part >> (64 - shift);
    }

    std::uint64_t extract(int position, int bits) const
    {
        const int shift = position % 64;
        std::uint64_t part = words_[position / 64] >> shift;
        if (shift + bits > 64)
            part |= words_[position / 64 + 1] << (64 - shift);
        return part & mask(bits);
    }

    std::uint64_t words_[(std::size_t(lanes) * width + 63) / 64] = {};
};

#endif

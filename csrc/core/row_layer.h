// A layer and a LeakyReLU on rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/arguments.h"
#include "core/parallel.h"
#include "core/row_product.h"
#include "core/simd.h"

namespace pcclust::inline PCCLUST_ISA {

constexpr int64_t kRowBlock = 768;

template <class T>
void row_layer(const RowLayerArguments<T>& a, const Threads& threads) {
  with_product<T>(a.layer, [&](const auto& product) {
    using Product = std::remove_cvref_t<decltype(product)>;
    const auto make_tile = [&] { return typename Product::Tile(product); };
    const int64_t blocks = (a.count + kRowBlock - 1) / kRowBlock, outputs = a.layer.outputs;
    for_each_task_with(threads, blocks, make_tile, [&](int64_t block, auto& tile) {
      const int64_t end = std::min(a.count, (block + 1) * kRowBlock);
      for (int64_t row = block * kRowBlock; row < end; row += kTileRows) {
        const int count = static_cast<int>(std::min<int64_t>(kTileRows, end - row));
        for (int i = 0; i < count; ++i) product.take(a.rows, row + i, nullptr, i, tile);
        for (int64_t panel = 0; panel < product.panels(); ++panel) {
          product.multiply(panel, tile);
          activate(tile.results.data(), count * kPanel<T>, a.layer.slope);
          const int64_t first = panel * kPanel<T>, width = std::min(kPanel<T>, outputs - first);
          for (int i = 0; i < count; ++i) {
            const T* from = tile.results.data() + i * kPanel<T>;
            std::copy(from, from + width, a.out + (row + i) * outputs + first);
          }
        }
      }
    });
  });
}

}  // namespace pcclust::inline PCCLUST_ISA

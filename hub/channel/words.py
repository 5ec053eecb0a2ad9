"""256 short common words: one a byte, for fingerprints that people compare by voice.

The order is part of the protocol (schemas/channel-v1.md, "Fingerprints"): never change it.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = """
    acid acre actor agent alarm album angle ankle apple april arena arrow aspen atlas attic
    autumn bacon badge bamboo banjo barley barrel basket beach beacon bicycle bishop blanket
    border bottle branch bread bridge bronze bucket butter button cabin cactus camel candle
    canoe canyon carbon carpet castle cedar cellar cherry chimney circle citrus clover cobalt
    coffee copper coral cotton cousin cradle cricket crystal dagger daisy dancer delta desert
    diamond dinner doctor dolphin donkey dragon drummer eagle early easel echo elbow eleven
    ember emerald engine envoy epoch errand fabric falcon farmer feather fiddle finger flagon
    flower forest fossil fountain freight galaxy garden garlic gather ginger glacier glove
    goblet golden gossip granite gravel guitar hammer harbor harvest hazel helmet herald hockey
    hollow honest horizon hunter hybrid iceberg igloo indigo inland insect island ivory jacket
    jasmine jester jigsaw jungle juniper kayak kernel kettle kitchen kitten ladder lagoon
    lantern laurel lemon leopard linen lizard lobster locket lumber magnet mammoth mango maple
    marble meadow mellow meteor mirror mitten monkey mosaic motor muffin museum napkin needle
    nickel noble nomad nutmeg oasis object ocean octave olive onion orange orbit orchid otter
    oxygen oyster paddle palace panda paper parrot pebble pelican pencil pepper piano pigeon
    pillow planet pocket potato puzzle quartz quiver rabbit radar raven ribbon river robin
    rocket saddle saffron salmon sandal satin saturn shadow silver sister socket spider spinach
    summit sunset tablet tailor teapot temple thunder tiger timber tomato trumpet tulip tunic
    tunnel turtle umbrella uncle valley vanilla velvet village violin wagon walnut walrus willow
    window winter wizard yellow yogurt zebra zephyr zipper
"""
WORDS: Final[tuple[str, ...]] = tuple(_TEXT.split())

"""A small STEP file, made here: a box in millimetres, red where it is to have a colour."""

from __future__ import annotations


class _Part:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str) -> str:
        self.lines.append(f"#{len(self.lines) + 1}={text};")
        return f"#{len(self.lines)}"


def step_box(width: float, depth: float, height: float, color: tuple[float, float, float] | None = None) -> bytes:
    """A box from the origin along +X, +Y and +Z, as AP214 has it."""
    add = _Part()
    millimetre = add("(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.))")
    radian = add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
    steradian = add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
    accuracy = add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-5),{millimetre},'accuracy','')")
    context = add(
        "(GEOMETRIC_REPRESENTATION_CONTEXT(3)"
        f"GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({accuracy}))"
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT(({millimetre},{radian},{steradian}))REPRESENTATION_CONTEXT('',''))"
    )

    def point(x: float, y: float, z: float) -> str:
        return add(f"CARTESIAN_POINT('',({x:.6f},{y:.6f},{z:.6f}))")

    def direction(x: float, y: float, z: float) -> str:
        return add(f"DIRECTION('',({x:.1f},{y:.1f},{z:.1f}))")

    corners = {(x, y, z): (x * width, y * depth, z * height) for x in (0, 1) for y in (0, 1) for z in (0, 1)}
    vertices = {corner: add(f"VERTEX_POINT('',{point(*place)})") for corner, place in corners.items()}
    edges: dict[tuple[tuple[int, int, int], tuple[int, int, int]], str] = {}

    def edge(begin: tuple[int, int, int], end: tuple[int, int, int]) -> str:
        if (end, begin) in edges:
            return add(f"ORIENTED_EDGE('',*,*,{edges[end, begin]},.F.)")
        if (begin, end) not in edges:
            along = direction(*(float(b - a) for a, b in zip(begin, end, strict=True)))
            line = add(f"LINE('',{point(*corners[begin])},{add(f'VECTOR({chr(39) * 2},{along},1.0)')})")
            edges[begin, end] = add(f"EDGE_CURVE('',{vertices[begin]},{vertices[end]},{line},.T.)")
        return add(f"ORIENTED_EDGE('',*,*,{edges[begin, end]},.T.)")

    faces = []
    for axis in range(3):
        for side in (0, 1):
            one, two = (axis + 1) % 3, (axis + 2) % 3
            ring = []
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                corner = [0, 0, 0]
                corner[axis], corner[one], corner[two] = side, a, b
                ring.append((corner[0], corner[1], corner[2]))
            if side == 0:
                ring.reverse()
            loop = ",".join(edge(ring[k], ring[(k + 1) % 4]) for k in range(4))
            bound = add(f"FACE_OUTER_BOUND('',{add(f'EDGE_LOOP({chr(39) * 2},({loop}))')},.T.)")
            normal = [0.0, 0.0, 0.0]
            normal[axis] = 1.0 if side else -1.0
            aside = [0.0, 0.0, 0.0]
            aside[one] = 1.0
            place = add(f"AXIS2_PLACEMENT_3D('',{point(*corners[ring[0]])},{direction(*normal)},{direction(*aside)})")
            faces.append(add(f"ADVANCED_FACE('',({bound}),{add(f'PLANE({chr(39) * 2},{place})')},.T.)"))
    shell = add(f"CLOSED_SHELL('',({','.join(faces)}))")
    solid = add(f"MANIFOLD_SOLID_BREP('',{shell})")
    origin = add(f"AXIS2_PLACEMENT_3D('',{point(0, 0, 0)},{direction(0, 0, 1)},{direction(1, 0, 0)})")
    shape = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({solid},{origin}),{context})")
    application = add("APPLICATION_CONTEXT('core data for automotive mechanical design processes')")
    add(f"APPLICATION_PROTOCOL_DEFINITION('','automotive_design',2000,{application})")
    product_context = add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    product = add(f"PRODUCT('box','box','',({product_context}))")
    formation = add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    design = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = add(f"PRODUCT_DEFINITION('design','',{formation},{design})")
    of_shape = add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    add(f"SHAPE_DEFINITION_REPRESENTATION({of_shape},{shape})")
    if color is not None:
        red, green, blue = color
        colour = add(f"COLOUR_RGB('',{red},{green},{blue})")
        fill = add(f"FILL_AREA_STYLE('',({add(f'FILL_AREA_STYLE_COLOUR({chr(39) * 2},{colour})')}))")
        side_style = add(f"SURFACE_SIDE_STYLE('',({add(f'SURFACE_STYLE_FILL_AREA({fill})')}))")
        style = add(f"PRESENTATION_STYLE_ASSIGNMENT(({add(f'SURFACE_STYLE_USAGE(.BOTH.,{side_style})')}))")
        styled = add(f"STYLED_ITEM('color',({style}),{solid})")
        add(f"MECHANICAL_DESIGN_GEOMETRIC_PRESENTATION_REPRESENTATION('',({styled}),{context})")
    head = (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\n"
        "FILE_NAME('box.step','2025-01-01T00:00:00',(''),(''),'','','');\n"
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN { 1 0 10303 214 1 1 1 1 }'));\nENDSEC;\nDATA;\n"
    )
    return (head + "\n".join(add.lines) + "\nENDSEC;\nEND-ISO-10303-21;\n").encode()
